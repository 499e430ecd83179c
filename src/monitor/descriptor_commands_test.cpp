#include "monitor/descriptor_commands.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "monitor/command_testing.h"

namespace godwit {
namespace {

class ClientWithDescriptor : public CommandClient {
public:
    FileDescriptor take_descriptor() override { return std::move(fd); }
    FileDescriptor fd;
};

class DescriptorCommandsTest : public ::testing::Test {
protected:
    DescriptorCommandsTest() { add_descriptor_commands(commands_, descriptors_); }

    std::string mistake(const std::string& name, const Json& arguments) {
        const auto result = ::godwit::testing::run_command(commands_, client_, name, arguments);
        return result ? "" : result.error().message;
    }
    void give() { client_.fd.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

    NamedDescriptors descriptors_;
    CommandTable commands_;
    ClientWithDescriptor client_;
};

TEST_F(DescriptorCommandsTest, KeepsAndClosesDescriptors) {
    give();
    const int number = client_.fd.get();
    EXPECT_EQ(mistake("getfd", {{"fdname", "a"}}), "");
    ASSERT_EQ(descriptors_.size(), 1U);
    EXPECT_EQ(::fcntl(number, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(mistake("closefd", {{"fdname", "a"}}), "");
    EXPECT_EQ(descriptors_.size(), 0U);
    EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

TEST_F(DescriptorCommandsTest, RefusesMistakes) {
    EXPECT_EQ(mistake("getfd", Json::object()), "Parameter 'fdname' is missing");
    EXPECT_EQ(mistake("getfd", {{"fdname", "a"}}), "No file descriptor supplied via SCM_RIGHTS");
    EXPECT_EQ(mistake("closefd", {{"fdname", "a"}}), "File descriptor named 'a' not found");
    give();
    const int number = client_.fd.get();
    EXPECT_NE(mistake("getfd", {{"fdname", "7"}}), "");
    EXPECT_EQ(::fcntl(number, F_GETFD), -1) << "a refused descriptor must be closed";
}

}  // namespace
}  // namespace godwit
