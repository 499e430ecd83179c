// The file that a QMP socket is.
#include <fcntl.h>
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

TEST(UnixListener, RefusesWhatCannotBeASocket) {
    EXPECT_EQ(UnixListener::listen("").error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(UnixListener::listen("/tmp/" + std::string(200, 'x')).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(UnixListener::listen("/nonexistent/socket").error().code, ErrorCode::io);
    const std::string file = ::testing::TempDir() + "/plain-file-for-listener";
    ::close(::open(file.c_str(), O_CREAT | O_CLOEXEC | O_WRONLY, 0600));
    EXPECT_EQ(UnixListener::listen(file).error().code, ErrorCode::busy);
    EXPECT_TRUE(std::filesystem::exists(file));
    std::filesystem::remove(file);
}

TEST(UnixListener, LeavesAFileOfSomebodyElseAlone) {
    const std::string path = ::testing::TempDir() + "/listener-replaced";
    std::filesystem::remove(path);
    {
        auto first = UnixListener::listen(path);
        ASSERT_TRUE(first);
        std::filesystem::remove(path);
        ::close(::open(path.c_str(), O_CREAT | O_CLOEXEC | O_WRONLY, 0600));
    }
    EXPECT_TRUE(std::filesystem::exists(path));
    std::filesystem::remove(path);
}

}  // namespace
}  // namespace godwit
