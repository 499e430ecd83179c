#include "cli/qmp_messages.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

Result<std::string> name_in(const char* greeting) {
    return qmp_server_name(Json::parse(greeting));
}

TEST(QmpServerName, IsWhatTheServerCallsItself) {
    EXPECT_EQ(name_in(R"({"QMP":{"version":{"package":"godwit 0.1.0"}}})"), "godwit 0.1.0");
    EXPECT_EQ(name_in(R"({"QMP":{"version":{"qemu":{"major":7,"minor":2,"micro":22}}}})"), "QEMU 7.2.22");
    EXPECT_EQ(name_in(R"({"QMP":{}})"), "QEMU 0.0.0");
}

TEST(QmpServerName, IsFitToPrint) {
    EXPECT_EQ(name_in(R"({"QMP":{"version":{"package":"godwit\u001b[2J"}}})"), "godwit\\x1b[2J");
    const auto refused = name_in(R"({"error":{"desc":"go\u001b[2Jne"}})");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::connect);
    EXPECT_EQ(refused.error().message, "go\\x1b[2Jne");
}

TEST(QmpServerName, TakesNoNumberForAnother) {
    EXPECT_EQ(name_in(R"({"QMP":{"version":{"qemu":{"major":1e300,"minor":2,"micro":5000000000}}}})"),
              "QEMU 0.2.5000000000");
    for (const char* text : {"{}", R"({"QMP":7})", R"({"QMP":{"version":{"qemu":{"major":"7"}}}})",
                             R"({"QMP":{"version":{"package":7}}})", R"({"error":{"desc":7}})"}) {
        const auto name = name_in(text);
        ASSERT_FALSE(name) << text;
        EXPECT_EQ(name.error().code, ErrorCode::stream_corrupt) << text;
    }
}

}  // namespace
}  // namespace godwit
