#include "machine/deferred_log.h"

#include "machine/test_machine.h"

namespace godwit {
namespace {

TEST_F(LoopTest, ADeferredLineIsWrittenByTheLoop) {
    {
        DeferredLog deferred(loop, log);
        deferred.write(LogLevel::warning, "at once");
        const std::string before = log.text();
        EXPECT_NE(before.find("at once"), std::string::npos);
        deferred.defer();
        deferred.write(LogLevel::warning, "a line");
        EXPECT_EQ(log.text(), before);
    }
    EXPECT_TRUE(run_until([&] { return log.text().find("a line") != std::string::npos; }));
}

}  // namespace
}  // namespace godwit
