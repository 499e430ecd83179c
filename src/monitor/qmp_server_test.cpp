#include "monitor/qmp_server.h"

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
#include <thread>

#include "monitor/basic_commands.h"
#include "monitor/json_stream.h"

namespace godwit {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using SteadyClock = std::chrono::steady_clock;

constexpr seconds patience{20};

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

FileDescriptor connect_to(const std::string& path) {
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

class QmpServerTest : public testing::Test {
protected:
    QmpServerTest() {
        std::string pattern = testing::TempDir() + "/qmpXXXXXX";
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

    void start() {
        auto server = QmpServer::listen(path_, loop_, clock_, commands_, log_, limits_);
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
            std::this_thread::sleep_for(milliseconds(1));
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
    QmpLimits limits_;
    EventLoop loop_;
    MonotonicClock clock_;
    MemoryLog log_;
    CommandTable commands_;
    std::unique_ptr<QmpServer> server_;
    std::thread thread_;
};

TEST_F(QmpServerTest, ServesSeveralClients) {
    start();
    TestClient a(path_);
    TestClient b(path_);
    TestClient silent(path_);
    a.negotiate();
    b.negotiate();
    EXPECT_TRUE(silent.receive().contains("QMP"));
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(a.ask(R"({"execute":"query-version","id":"a"})")["id"], "a");
        EXPECT_EQ(b.ask(R"({"execute":"query-version","id":"b"})")["id"], "b");
    }
    emit("STOP");
    EXPECT_EQ(a.receive()["event"], "STOP");
    EXPECT_EQ(b.receive()["event"], "STOP");
    // The one that has not negotiated gets an answer, but no event before it.
    EXPECT_EQ(silent.ask(R"({"execute":"query-version"})")["error"]["class"], "CommandNotFound");
    a.close();
    EXPECT_TRUE(wait_for_clients(2));
    EXPECT_TRUE(b.ask(R"({"execute":"query-version"})").contains("return"));
}

TEST_F(QmpServerTest, AnswersEvenAfterTheClientHasEndedItsInput) {
    start();
    TestClient client(path_);
    client.send(R"({"execute":"qmp_capabilities"}{"execute":"big"}{"execute":"query-version","id":9})");
    ::shutdown(client.fd(), SHUT_WR);
    EXPECT_TRUE(client.receive().contains("QMP"));
    EXPECT_TRUE(client.receive().contains("return"));
    EXPECT_TRUE(client.receive().contains("return"));
    EXPECT_EQ(client.receive()["id"], 9);
    EXPECT_TRUE(client.receive().is_null());
    EXPECT_TRUE(client.closed());
    EXPECT_TRUE(wait_for_clients(0));
}

TEST_F(QmpServerTest, AClientThatNeverReadsIsDroppedAndHarmsNobody) {
    limits_.queue_bytes = 256 << 10;
    start();
    TestClient deaf(path_);
    deaf.negotiate();
    TestClient good(path_);
    good.negotiate();
    const auto deadline = SteadyClock::now() + patience;
    while (on_loop([this] { return server_->client_count(); }) == 2 && SteadyClock::now() < deadline) {
        emit("NOISE");
        EXPECT_EQ(good.receive()["event"], "NOISE");
    }
    EXPECT_TRUE(wait_for_clients(1));
    EXPECT_NE(log_.text().find("does not read"), std::string::npos);
    EXPECT_TRUE(good.ask(R"({"execute":"query-version"})").contains("return"));
}

TEST_F(QmpServerTest, AClientThatStallsIsDroppedAfterATime) {
    limits_.stall_timeout = milliseconds(50);
    start();
    TestClient deaf(path_);
    deaf.negotiate();
    std::string commands;
    for (int i = 0; i < 100; ++i) {
        commands += R"({"execute":"big"})";
    }
    deaf.send(commands);
    EXPECT_TRUE(wait_for_clients(0));
    EXPECT_NE(log_.text().find("too long"), std::string::npos);
}

TEST_F(QmpServerTest, NoCommandsAreReadFromAClientThatDoesNotReadTheAnswers) {
    start();
    TestClient flood(path_);
    flood.negotiate();
    TestClient good(path_);
    good.negotiate();
    ::fcntl(flood.fd(), F_SETFL, O_NONBLOCK);
    const std::string command = R"({"execute":"big"})";
    std::size_t sent = 0;
    // The kernel's buffers fill up, and the server neither takes more nor drops the client.
    for (const auto deadline = SteadyClock::now() + patience; SteadyClock::now() < deadline;) {
        const ssize_t count = ::send(flood.fd(), command.data(), command.size(), MSG_NOSIGNAL);
        if (count < 0) {
            pollfd entry{flood.fd(), POLLOUT, 0};
            if (::poll(&entry, 1, 200) == 0) {
                break;
            }
            continue;
        }
        sent += static_cast<std::size_t>(count);
        ASSERT_EQ(static_cast<std::size_t>(count), command.size());
    }
    EXPECT_TRUE(good.ask(R"({"execute":"query-version"})").contains("return"));
    // Once it reads, it gets every answer.
    for (std::size_t i = 0; i < sent / command.size(); ++i) {
        ASSERT_TRUE(flood.receive().contains("return"));
    }
    EXPECT_EQ(on_loop([this] { return server_->client_count(); }), 2U);
}

TEST_F(QmpServerTest, AFloodOfRubbishDoesNotHoldUpOthers) {
    start();
    TestClient flood(path_);
    TestClient good(path_);
    good.negotiate();
    std::atomic<bool> stop_flood = false;
    std::thread writer([&] {
        const std::string rubbish(10'000, '{');
        while (!stop_flood && ::send(flood.fd(), rubbish.data(), rubbish.size(), MSG_NOSIGNAL | MSG_DONTWAIT) != 0) {
        }
    });
    for (int i = 0; i < 50; ++i) {
        EXPECT_TRUE(good.ask(R"({"execute":"query-version"})").contains("return"));
    }
    stop_flood = true;
    writer.join();
}

TEST_F(QmpServerTest, RefusesTooManyClients) {
    limits_.clients = 2;
    start();
    TestClient a(path_);
    TestClient b(path_);
    a.negotiate();
    b.negotiate();
    TestClient c(path_);
    EXPECT_TRUE(c.receive().contains("error"));
    EXPECT_TRUE(c.receive().is_null());
    a.close();
    EXPECT_TRUE(wait_for_clients(1));
    TestClient d(path_);
    d.negotiate();
}

TEST_F(QmpServerTest, TakesDescriptors) {
    start();
    TestClient client(path_);
    client.negotiate();
    EXPECT_EQ(client.ask(R"({"execute":"take"})")["error"]["desc"], "no descriptor");
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    struct stat info {};
    ::fstat(ends[0], &info);
    client.send_with_descriptors(R"({"execute":"take"})", {ends[0]});
    const Json taken = client.receive()["return"];
    EXPECT_EQ(taken["inode"], info.st_ino);
    EXPECT_EQ(taken["cloexec"], true);
    EXPECT_EQ(client.ask(R"({"execute":"take"})")["error"]["desc"], "no descriptor");

    // What comes later replaces what nobody took, and what nobody takes is closed.
    client.send_with_descriptors(R"({"execute":"query-version"})", {ends[1], ends[1]});
    EXPECT_TRUE(client.receive().contains("return"));
    ::close(ends[1]);
    client.send_with_descriptors(R"({"execute":"query-version"})", {ends[0]});
    EXPECT_TRUE(client.receive().contains("return"));
    char byte = 0;
    EXPECT_EQ(::read(ends[0], &byte, 1), 0) << "a descriptor was leaked";
    ::close(ends[0]);

    int more[2];
    ASSERT_EQ(::pipe2(more, O_CLOEXEC), 0);
    client.send_with_descriptors("{", std::vector<int>(100, more[1]));
    ::close(more[1]);
    EXPECT_TRUE(client.ask("}\n").contains("error"));
    client.close();
    EXPECT_TRUE(wait_for_clients(0));
    EXPECT_EQ(::read(more[0], &byte, 1), 0) << "a descriptor was leaked";
    ::close(more[0]);
}

TEST_F(QmpServerTest, SurvivesClientsThatComeAndGo) {
    start();
    for (int i = 0; i < 200; ++i) {
        FileDescriptor fd = connect_to(path_);
        if (i % 2 == 0) {
            ::send(fd.get(), R"({"execute":"qmp_capabilities"}{"execute":"big"})", 47, MSG_NOSIGNAL);
        }
    }
    EXPECT_TRUE(wait_for_clients(0));
    TestClient client(path_);
    client.negotiate();
}

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
    const std::string file = testing::TempDir() + "/plain-file-for-listener";
    ::close(::open(file.c_str(), O_CREAT | O_CLOEXEC | O_WRONLY, 0600));
    EXPECT_EQ(UnixListener::listen(file).error().code, ErrorCode::busy);
    EXPECT_TRUE(std::filesystem::exists(file));
    std::filesystem::remove(file);
}

TEST(UnixListener, LeavesAFileOfSomebodyElseAlone) {
    const std::string path = testing::TempDir() + "/listener-replaced";
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
