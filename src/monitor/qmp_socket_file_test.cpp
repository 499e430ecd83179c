// The file that a QMP socket is.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "monitor/qmp_server_testing.h"

namespace godwit {
namespace {

using testing::QmpServerTest;
using testing::TestClient;

TEST_F(QmpServerTest, ReplacesAStaleFileAndRemovesItsOwn) {
    {
        const FileDescriptor dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::copy(path_.begin(), path_.end(), address.sun_path);
        ASSERT_EQ(::bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    }
    ASSERT_TRUE(std::filesystem::exists(path_));
    start();
    TestClient(path_).negotiate();
    EXPECT_EQ(std::filesystem::status(path_).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    const auto second = UnixListener::listen(path_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::busy);
    stop();
    EXPECT_FALSE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace godwit
