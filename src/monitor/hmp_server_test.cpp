// Clients of the human monitor on a socket, the hostile ones above all.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <string>

#include "monitor/hmp_session.h"
#include "monitor/hmp_testing.h"
#include "monitor/qmp_server_testing.h"

namespace godwit {
namespace {

using testing::connect_to;
using testing::patience;
using testing::SteadyClock;

/// Waits for text with a deadline.
class TextClient {
public:
    explicit TextClient(const std::string& path) : fd_(connect_to(path)) {}

    void send(std::string_view text) {
        while (!text.empty()) {
            const ssize_t count = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
            ASSERT_GT(count, 0);
            text.remove_prefix(static_cast<std::size_t>(count));
        }
    }
    /// Everything up to and with the next `end`; what there was if it does not come.
    std::string until(const std::string& end) {
        for (const auto deadline = SteadyClock::now() + patience; SteadyClock::now() < deadline;) {
            if (const auto at = received_.find(end); at != std::string::npos) {
                std::string text = received_.substr(0, at + end.size());
                received_.erase(0, at + end.size());
                return text;
            }
            if (!receive()) {
                return received_ + "<closed>";
            }
        }
        return received_ + "<nothing more>";
    }
    std::string ask(const std::string& line) {
        send(line + "\n");
        return until("(godwit) ");
    }
    int fd() const { return fd_.get(); }
    void close() { fd_.reset(); }

private:
    bool receive() {
        pollfd entry{fd_.get(), POLLIN, 0};
        if (::poll(&entry, 1, 100) <= 0) {
            return true;
        }
        char bytes[4096];
        const ssize_t count = ::read(fd_.get(), bytes, sizeof(bytes));
        received_.append(bytes, count > 0 ? static_cast<std::size_t>(count) : 0);
        return count > 0;
    }

    FileDescriptor fd_;
    std::string received_;
};

class HmpServerTest : public testing::QmpServerTest {
protected:
    HmpServerTest() {
        add_migration_commands(commands_, service_);
        limits_.poll_interval = std::chrono::milliseconds(1);
    }
    ~HmpServerTest() override { stop(); }
    MonitorProtocol protocol() override { return hmp_protocol(commands_); }
    void migration_is(MigrationState state) {
        on_loop([&] {
            service_.figures.state = state;
            return 0;
        });
    }
    std::size_t migrations_begun() {
        return on_loop([this] { return service_.asked.size(); });
    }

    testing::NotingService service_;
};

const std::string quit_help = "quit|q  -- end the program\r\n(godwit) ";

TEST_F(HmpServerTest, ServesSeveralClients) {
    start();
    TextClient a(path_);
    TextClient b(path_);
    EXPECT_TRUE(a.until("(godwit) ").starts_with("godwit "));
    EXPECT_TRUE(b.until("(godwit) ").starts_with("godwit "));
    emit("STOP");
    EXPECT_EQ(a.ask("help quit"), quit_help) << "events are not for people";
    EXPECT_EQ(b.ask("help quit"), quit_help);
    a.close();
    EXPECT_TRUE(wait_for_clients(1));
    EXPECT_EQ(b.ask("help quit"), quit_help);
}

TEST_F(HmpServerTest, SendsAwayWhoIsOneTooMany) {
    limits_.clients = 1;
    start();
    TextClient first(path_);
    EXPECT_TRUE(first.until("(godwit) ").starts_with("godwit "));
    TextClient second(path_);
    EXPECT_EQ(second.until("\r\n"), "Error: 1 clients are connected already; close one of them\r\n");
    EXPECT_EQ(first.ask("help quit"), quit_help);
}

TEST_F(HmpServerTest, WaitsForAMigrationWithoutHoldingUpOthers) {
    start();
    TextClient waiting(path_);
    TextClient other(path_);
    waiting.until("(godwit) ");
    other.until("(godwit) ");
    waiting.send("migrate tcp:a:1\nhelp quit\n");
    EXPECT_EQ(waiting.until("\r"), "Completed 0 %\r");
    EXPECT_TRUE(other.ask("info migrate").starts_with("Migration status: setup\r\n"));
    migration_is(MigrationState::completed);
    EXPECT_EQ(waiting.until("(godwit) "), "\r\n(godwit) ");
    EXPECT_EQ(waiting.until("(godwit) "), quit_help) << "what was sent meanwhile";
}

TEST_F(HmpServerTest, AnswersWhoHasEndedHisInputAfterTheMigration) {
    start();
    TextClient client(path_);
    client.until("(godwit) ");
    client.send("migrate tcp:a:1\nhelp quit\n");
    ::shutdown(client.fd(), SHUT_WR);
    EXPECT_EQ(client.until("\r"), "Completed 0 %\r");
    migration_is(MigrationState::completed);
    EXPECT_EQ(client.until("(godwit) "), "\r\n(godwit) ");
    EXPECT_EQ(client.until("(godwit) "), quit_help);
    EXPECT_EQ(client.until("x"), "<closed>");
    EXPECT_TRUE(wait_for_clients(0));
}

TEST_F(HmpServerTest, AClientMayLeaveInTheMiddleOfAMigration) {
    start();
    TextClient other(path_);
    other.until("(godwit) ");
    {
        TextClient leaving(path_);
        leaving.until("(godwit) ");
        leaving.send("migrate tcp:a:1\n");
        leaving.until("\r");
    }
    EXPECT_TRUE(wait_for_clients(1));
    EXPECT_EQ(migrations_begun(), 1U);
    EXPECT_TRUE(other.ask("info migrate").starts_with("Migration status: setup\r\n")) << "it goes on";
    migration_is(MigrationState::completed);
    EXPECT_EQ(other.ask("help quit"), quit_help);
}

TEST_F(HmpServerTest, TheServerMayEndInTheMiddleOfAMigration) {
    start();
    TextClient client(path_);
    client.until("(godwit) ");
    client.send("migrate tcp:a:1\n");
    client.until("\r");
    stop();
    EXPECT_EQ(client.until("x"), "<closed>");
}

TEST_F(HmpServerTest, ALineOfAMebibyteIsRefused) {
    start();
    TextClient client(path_);
    client.until("(godwit) ");
    client.send(std::string(1 << 20, 'x') + "\n");
    EXPECT_EQ(client.until("(godwit) "), "Error: the line has more than 4096 bytes\r\n(godwit) ");
    EXPECT_EQ(client.ask("help quit"), quit_help);
}

TEST_F(HmpServerTest, HalfALineIsNotRun) {
    start();
    {
        TextClient client(path_);
        client.until("(godwit) ");
        client.send("migrate -d tcp:a:1");
    }
    TextClient other(path_);
    other.until("(godwit) ");
    EXPECT_TRUE(wait_for_clients(1));
    EXPECT_EQ(migrations_begun(), 0U);
    for (const char byte : std::string("help quit")) {
        other.send(std::string_view(&byte, 1));
    }
    EXPECT_EQ(other.ask(""), quit_help);
}

TEST_F(HmpServerTest, AFloodHarmsNobody) {
    start();
    TextClient flooding(path_);
    TextClient good(path_);
    good.until("(godwit) ");
    std::string noise;
    for (int i = 0; i < 5000; ++i) {
        noise += "help\n";
    }
    // More than the sockets and the server hold: nobody reads the answers.
    std::size_t sent = 0;
    for (ssize_t count = 1; count > 0 && sent < (std::size_t{64} << 20); sent += static_cast<std::size_t>(count)) {
        count = ::send(flooding.fd(), noise.data(), noise.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count <= 0) {
            break;
        }
    }
    EXPECT_LT(sent, std::size_t{64} << 20) << "a client that does not read is not listened to";
    EXPECT_EQ(good.ask("help quit"), quit_help);
    EXPECT_EQ(on_loop([this] { return server_->client_count(); }), 2U);
}

TEST_F(HmpServerTest, AClientThatNeverReadsIsDropped) {
    limits_.stall_timeout = std::chrono::milliseconds(50);
    start();
    TextClient deaf(path_);
    TextClient good(path_);
    good.until("(godwit) ");
    std::string noise;
    for (int i = 0; i < 5000; ++i) {
        noise += "help\n";
    }
    [[maybe_unused]] const ssize_t sent = ::send(deaf.fd(), noise.data(), noise.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    EXPECT_TRUE(wait_for_clients(1));
    EXPECT_NE(log_.text().find("monitor: a client was dropped"), std::string::npos);
    EXPECT_EQ(good.ask("help quit"), quit_help);
}

TEST_F(HmpServerTest, BytesOfAnyKindAreAnswered) {
    start();
    TextClient client(path_);
    client.until("(godwit) ");
    std::string bytes;
    for (int value = 0; value < 256; ++value) {
        bytes += value == '\n' ? ' ' : static_cast<char>(value);
    }
    const std::string answer = client.ask(bytes);
    EXPECT_TRUE(answer.starts_with("Error: ")) << answer;
    EXPECT_EQ(client.ask("help quit"), quit_help);
}

}  // namespace
}  // namespace godwit
