#include "cli/qmp_client.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <thread>

#include "io/unix_listener.h"

namespace godwit {
namespace {

using Milliseconds = QmpClient::Milliseconds;

constexpr const char* greeting =
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": \"Debian\"}, "
    "\"capabilities\": [\"oob\"]}}\r\n";

/// A server that follows a script.
class FakeServer {
public:
    using Script = std::function<void(FakeServer&)>;
    explicit FakeServer(Script script)
        : path_(testing::TempDir() + "/fake-qmp-" + std::to_string(::getpid())),
          listener_(UnixListener::listen(path_).value()),
          thread_([this, script = std::move(script)] {
              pollfd entry{listener_.fd(), POLLIN, 0};
              ::poll(&entry, 1, 20'000);
              client_.reset(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
              script(*this);
          }) {}
    ~FakeServer() { thread_.join(); }

    void send(std::string_view text) { EXPECT_GT(::send(client_.get(), text.data(), text.size(), MSG_NOSIGNAL), 0); }
    /// What the client sends next; empty at its end.
    std::string receive() {
        char bytes[4096];
        const ssize_t count = ::read(client_.get(), bytes, sizeof(bytes));
        return count > 0 ? std::string(bytes, static_cast<std::size_t>(count)) : "";
    }
    void negotiate() {
        send(greeting);
        EXPECT_EQ(receive(), "{\"execute\":\"qmp_capabilities\"}\r\n");
        send("{\"return\": {}}\r\n");
    }
    void close() { client_.reset(); }
    const std::string& path() const { return path_; }

private:
    std::string path_;
    UnixListener listener_;
    FileDescriptor client_;
    std::thread thread_;
};

TEST(QmpClient, NegotiatesAndRunsCommands) {
    FakeServer server([](FakeServer& self) {
        self.negotiate();
        EXPECT_EQ(self.receive(), "{\"arguments\":{\"uri\":\"x\"},\"execute\":\"migrate\"}\r\n");
        self.send("{\"event\": \"STOP\", \"timestamp\": {}}\r\n{\"retu");
        self.send("rn\": {\"a\": 1}}\r\n");
        EXPECT_EQ(self.receive(), "{\"execute\":\"bad\"}\r\n");
        self.send(
            "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no (do)\", \"x-godwit-hint\": \"do\", "
            "\"x-godwit-error-code\": \"busy\"}}\r\n");
    });
    auto client = QmpClient::connect("unix:" + server.path());
    ASSERT_TRUE(client) << client.error().text();
    EXPECT_EQ(client->server(), "QEMU 7.2.22");
    EXPECT_EQ(client->execute("migrate", {{"uri", "x"}}), (Json{{"a", 1}}));
    const auto refused = client->execute("bad");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::peer_failed);
    EXPECT_EQ(refused.error().message, "no [busy]");
    EXPECT_EQ(refused.error().hint, "do");
}

TEST(QmpClient, KnowsGodwit) {
    FakeServer server([](FakeServer& self) {
        self.send("{\"QMP\":{\"version\":{\"qemu\":{},\"package\":\"godwit 0.1.0\"},\"capabilities\":[]}}\r\n");
        self.receive();
        self.send("{\"return\": {}}\r\n");
    });
    const auto client = QmpClient::connect(server.path());
    ASSERT_TRUE(client);
    EXPECT_EQ(client->server(), "godwit 0.1.0");
}

ErrorCode connect_error(const std::string& first_words) {
    FakeServer server([&](FakeServer& self) {
        self.send(first_words);
        self.close();
    });
    const auto client = QmpClient::connect(server.path());
    return client ? ErrorCode::internal : client.error().code;
}

TEST(QmpClient, RefusesWhatIsNotQmp) {
    EXPECT_EQ(connect_error("HTTP/1.0 400 Bad Request\r\n\r\n"), ErrorCode::stream_corrupt);
    EXPECT_EQ(connect_error("{\"hello\":1}\r\n"), ErrorCode::stream_corrupt);
    EXPECT_EQ(connect_error("{\"QMP\":5}\r\n"), ErrorCode::stream_corrupt);
    EXPECT_EQ(connect_error("{\"QMP\":{\"version\":{\"qemu\":{\"major\":\"x\"}}}}\r\n"), ErrorCode::stream_corrupt);
    EXPECT_EQ(connect_error("{\"error\":{\"class\":\"GenericError\",\"desc\":\"full\"}}\r\n"), ErrorCode::connect);
}

TEST(QmpClient, SaysThatNobodyListens) {
    EXPECT_EQ(QmpClient::connect("/nonexistent/socket").error().code, ErrorCode::connect);
    EXPECT_EQ(QmpClient::connect("").error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(QmpClient::connect(std::string(500, 'x')).error().code, ErrorCode::invalid_argument);
}

TEST(QmpClient, AServerThatHangsEndsInAnError) {
    {
        FakeServer server([](FakeServer& self) { self.receive(); });
        EXPECT_EQ(QmpClient::connect(server.path(), Milliseconds(50)).error().code, ErrorCode::idle_timeout);
    }
    FakeServer server([](FakeServer& self) {
        self.negotiate();
        while (!self.receive().empty()) {
        }
    });
    auto client = QmpClient::connect(server.path());
    ASSERT_TRUE(client);
    EXPECT_EQ(client->execute("query-status", Json::object(), Milliseconds(50)).error().code, ErrorCode::idle_timeout);
}

TEST(QmpClient, HearsAnInterruptionWhileItWaits) {
    FakeServer server([](FakeServer& self) {
        self.negotiate();
        // The answer waits for what the client says while it waits.
        std::string received;
        while (!received.ends_with("heard")) {
            const std::string part = self.receive();
            ASSERT_FALSE(part.empty());
            received += part;
        }
        self.send("{\"return\": 1}\r\n");
    });
    auto client = QmpClient::connect(server.path());
    ASSERT_TRUE(client);
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const FileDescriptor output(ends[0]);
    const FileDescriptor input(ends[1]);
    ASSERT_EQ(::write(input.get(), "x", 1), 1);
    int heard = 0;
    client->set_interruption(output.get(), [&] {
        char byte;
        EXPECT_EQ(::read(output.get(), &byte, 1), 1);
        EXPECT_EQ(::send(client->fd(), "heard", 5, MSG_NOSIGNAL), 5);
        ++heard;
    });
    EXPECT_EQ(client->execute("query-status"), Json(1));
    EXPECT_EQ(heard, 1);
}

TEST(QmpClient, SaysThatTheServerHasGone) {
    FakeServer server([](FakeServer& self) {
        self.negotiate();
        self.receive();
        self.close();
    });
    auto client = QmpClient::connect(server.path());
    ASSERT_TRUE(client);
    EXPECT_EQ(client->execute("quit").error().code, ErrorCode::peer_closed);
    EXPECT_EQ(client->execute("quit").error().code, ErrorCode::peer_closed);
}

}  // namespace
}  // namespace godwit
