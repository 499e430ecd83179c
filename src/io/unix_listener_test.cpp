#include "io/unix_listener.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <latch>
#include <optional>
#include <thread>
#include <vector>

#include "io/test_support.h"

namespace godwit {
namespace {

using test::TemporaryDirectory;

/// Files are made with the modes that were asked for.
class NoUmask {
public:
    NoUmask() : before_(::umask(0)) {}
    ~NoUmask() { ::umask(before_); }
    NoUmask(const NoUmask&) = delete;
    NoUmask& operator=(const NoUmask&) = delete;

private:
    const mode_t before_;
};

/// A socket's file behind which nobody listens any more.
void leave_behind(const std::string& path) {
    const FileDescriptor dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    ASSERT_EQ(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
}

mode_t permissions_of(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777U;
}

/// What has happened to the files of a directory, as masks of inotify, in order.
std::vector<std::uint32_t> events_of(const FileDescriptor& watch) {
    alignas(inotify_event) std::array<char, 4096> buffer{};
    const ssize_t got = ::read(watch.get(), buffer.data(), buffer.size());
    std::vector<std::uint32_t> masks;
    for (ssize_t at = 0; at < got;) {
        inotify_event event{};
        std::memcpy(&event, buffer.data() + at, sizeof(event));
        masks.push_back(event.mask);
        at += static_cast<ssize_t>(sizeof(event) + event.len);
    }
    return masks;
}

TEST(UnixListener, IsItsOwnersAloneFromTheFirstMoment) {
    const NoUmask no_umask;
    const TemporaryDirectory directory;
    const FileDescriptor watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    ASSERT_GE(::inotify_add_watch(watch.get(), (directory / "").c_str(), IN_CREATE | IN_ATTRIB), 0);
    const auto listener = UnixListener::listen(directory / "s");
    ASSERT_TRUE(listener);
    EXPECT_EQ(permissions_of(directory / "s"), 0600U);
    // A mode that is set after the file was made would be a change of its attributes.
    EXPECT_EQ(events_of(watch), std::vector<std::uint32_t>{IN_CREATE});
}

TEST(UnixListener, ReplacesAFileThatWasLeftBehind) {
    const TemporaryDirectory directory;
    leave_behind(directory / "s");
    auto listener = UnixListener::listen(directory / "s");
    ASSERT_TRUE(listener);
    const auto second = UnixListener::listen(directory / "s");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::busy);
    listener->close();
    EXPECT_FALSE(std::filesystem::exists(directory / "s"));
}

TEST(UnixListener, LeavesNothingBesidesItsFile) {
    const TemporaryDirectory directory;
    leave_behind(directory / "s");
    const auto listener = UnixListener::listen(directory / "s");
    ASSERT_TRUE(listener);
    EXPECT_FALSE(UnixListener::listen(directory / "s"));
    EXPECT_EQ(directory.entries(), 1U);
}

TEST(UnixListener, OfSeveralAtOnceOneListensAndKeepsItsFile) {
    const TemporaryDirectory directory;
    const std::string path = directory / "s";
    constexpr std::size_t listeners = 2;
    for (int round = 0; round < 200; ++round) {
        if (round % 2 == 0) {
            leave_behind(path);
        }
        std::latch start(listeners);
        std::array<std::optional<Result<UnixListener>>, listeners> found;
        std::vector<std::thread> threads;
        threads.reserve(listeners);
        for (auto& place : found) {
            threads.emplace_back([&] {
                start.arrive_and_wait();
                place = UnixListener::listen(path);
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        ASSERT_EQ(std::ranges::count_if(found, [](const auto& one) { return one->has_value(); }), 1) << round;
        const FileDescriptor client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::copy(path.begin(), path.end(), address.sun_path);
        ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0) << round;
        ASSERT_EQ(directory.entries(), 1U) << round;
        found = {};
        ASSERT_EQ(directory.entries(), 0U) << round;
    }
}

TEST(UnixListener, TakesThePathsThatASocketCanHave) {
    const TemporaryDirectory directory;
    const std::string longest = directory / std::string(107 - (directory / "").size(), 'x');
    ASSERT_EQ(longest.size(), 107U);
    EXPECT_TRUE(UnixListener::listen(longest));
    EXPECT_EQ(UnixListener::listen(longest + "x").error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(UnixListener::listen("/" + std::string(103, 'x') + "/s").error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(directory.entries(), 0U);
}

TEST(UnixListener, LeavesWhatAnotherUserLeftBehind) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root can make another user's file";
    }
    const TemporaryDirectory directory;
    leave_behind(directory / "s");
    constexpr uid_t somebody = 12345;
    ASSERT_EQ(::lchown((directory / "s").c_str(), somebody, somebody), 0);
    const auto listener = UnixListener::listen(directory / "s");
    ASSERT_FALSE(listener);
    EXPECT_EQ(listener.error().code, ErrorCode::busy);
    EXPECT_TRUE(std::filesystem::is_socket(directory / "s"));
}

TEST(UnixListener, LeavesASymbolicLinkAlone) {
    const TemporaryDirectory directory;
    std::filesystem::create_symlink(directory / "target", directory / "s");
    EXPECT_EQ(UnixListener::listen(directory / "s").error().code, ErrorCode::busy);
    EXPECT_TRUE(std::filesystem::is_symlink(directory / "s"));
    EXPECT_FALSE(std::filesystem::exists(directory / "target"));
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
