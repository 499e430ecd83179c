#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "io/event_loop.h"
#include "io/file_descriptor.h"
#include "io/monotonic_clock.h"
#include "monitor/basic_commands.h"
#include "monitor/command_table.h"
#include "monitor/json_stream.h"
#include "monitor/monitor_server.h"
#include "monitor/qmp_session.h"

namespace godwit::testing {

using SteadyClock = std::chrono::steady_clock;

inline constexpr std::chrono::seconds patience{20};

class MemoryLog : public Log {
public:
    void write(LogLevel, std::string_view line) override {
        const std::lock_guard lock(mutex_);
        text_ += std::string(line) + "\n";
    }
    std::string text() {
        const std::lock_guard lock(mutex_);
        return text_;
    }

private:
    std::mutex mutex_;
    std::string text_;
};

inline FileDescriptor connect_to(const std::string& path) {
    FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0) << path;
    return fd;
}

/// A client that waits for everything with a deadline.
class TestClient {
public:
    explicit TestClient(const std::string& path) : fd_(connect_to(path)) {}

    void send(std::string_view text) {
        ASSERT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    }
    void send_with_descriptors(std::string text, const std::vector<int>& fds) {
        iovec piece{text.data(), text.size()};
        std::vector<char> control(CMSG_SPACE(sizeof(int) * fds.size()));
        msghdr message{};
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
        std::memcpy(CMSG_DATA(part), fds.data(), sizeof(int) * fds.size());
        ASSERT_EQ(::sendmsg(fd_.get(), &message, 0), static_cast<ssize_t>(text.size()));
    }
    /// The next message, or null when the server has closed the connection or nothing comes.
    Json receive() {
        const auto deadline = SteadyClock::now() + patience;
        while (messages_.empty() && SteadyClock::now() < deadline) {
            pollfd entry{fd_.get(), POLLIN, 0};
            if (::poll(&entry, 1, 100) <= 0) {
                continue;
            }
            char bytes[4096];
            const ssize_t count = ::read(fd_.get(), bytes, sizeof(bytes));
            if (count <= 0) {
                closed_ = true;
                return nullptr;
            }
            stream_.feed(std::string_view(bytes, static_cast<std::size_t>(count)), [this](Result<Json> message) {
                messages_.push_back(message.value());
                return true;
            });
        }
        if (messages_.empty()) {
            ADD_FAILURE() << "no message came";
            return nullptr;
        }
        Json message = messages_.front();
        messages_.erase(messages_.begin());
        return message;
    }
    Json ask(std::string_view text) {
        send(text);
        return receive();
    }
    void negotiate() {
        EXPECT_TRUE(receive().contains("QMP"));
        EXPECT_TRUE(ask(R"({"execute":"qmp_capabilities"})").contains("return"));
    }
    bool closed() const { return closed_; }
    int fd() const { return fd_.get(); }
    void close() { fd_.reset(); }

private:
    FileDescriptor fd_;
    JsonStream stream_;
    std::vector<Json> messages_;
    bool closed_ = false;
};

/// A server with its loop on a thread of its own, and two commands more than the basic ones.
class QmpServerTest : public ::testing::Test {
protected:
    QmpServerTest() {
        std::string pattern = ::testing::TempDir() + "/qmpXXXXXX";
        directory_ = ::mkdtemp(pattern.data());
        path_ = directory_ + "/socket";
        add_basic_commands(commands_, [] {});
        commands_.add({"take", "", {}, [](const Json&, CommandClient& client) -> Result<Json> {
                           const FileDescriptor fd = client.take_descriptor();
                           if (!fd.valid()) {
                               return fail(ErrorCode::not_found, "no descriptor");
                           }
                           struct stat info {};
                           ::fstat(fd.get(), &info);
                           return Json{{"inode", info.st_ino}, {"cloexec", ::fcntl(fd.get(), F_GETFD) == FD_CLOEXEC}};
                       }});
        commands_.add(
            {"big", "", {}, [](const Json&, CommandClient&) -> Result<Json> { return std::string(20'000, 'x'); }});
    }
    ~QmpServerTest() override {
        stop();
        std::filesystem::remove_all(directory_);
    }

    virtual MonitorProtocol protocol() { return qmp_protocol(commands_); }
    void start() {
        auto server = MonitorServer::listen(path_, loop_, clock_, protocol(), log_, limits_);
        ASSERT_TRUE(server) << server.error().text();
        server_ = std::move(*server);
        thread_ = std::thread([this] { loop_.run(); });
    }
    void stop() {
        if (thread_.joinable()) {
            loop_.quit();
            thread_.join();
        }
        server_.reset();
    }
    /// What `read` says on the loop's thread.
    template <typename F>
    auto on_loop(F read) {
        std::atomic<bool> done = false;
        decltype(read()) result{};
        loop_.post([&] {
            result = read();
            done = true;
        });
        while (!done) {
            std::this_thread::yield();
        }
        return result;
    }
    bool wait_for_clients(std::size_t count) {
        for (const auto deadline = SteadyClock::now() + patience; SteadyClock::now() < deadline;) {
            if (on_loop([this] { return server_->client_count(); }) == count) {
                return true;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return false;
    }
    void emit(const std::string& name) {
        on_loop([&] {
            server_->emit(name, {{"x", std::string(1000, 'y')}});
            return 0;
        });
    }

    std::string directory_;
    std::string path_;
    MonitorLimits limits_;
    EventLoop loop_;
    MonotonicClock clock_;
    MemoryLog log_;
    CommandTable commands_;
    std::unique_ptr<MonitorServer> server_;
    std::thread thread_;
};

}  // namespace godwit::testing
