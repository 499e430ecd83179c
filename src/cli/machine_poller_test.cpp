#include "cli/machine_poller.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <optional>

#include "cli/top_output.h"
#include "io/unix_listener.h"

namespace godwit {
namespace {

using Clock = MachinePoller::Clock;
using std::chrono::milliseconds;

constexpr const char* greeting = R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7},)"
                                 R"( "package": "Debian"}, "capabilities": []}})"
                                 "\r\n";

/// A machine's side of the connection, played by the test itself: a poller never waits.
class Machine {
public:
    explicit Machine(const std::string& path) : listener_(UnixListener::listen(path).value()) {}

    void accept() {
        ready(listener_.fd());
        client_.reset(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
        EXPECT_TRUE(client_.valid());
    }
    void send(std::string_view text) { EXPECT_GT(::send(client_.get(), text.data(), text.size(), MSG_NOSIGNAL), 0); }
    std::string receive() {
        ready(client_.get());
        char bytes[4096];
        const ssize_t count = ::read(client_.get(), bytes, sizeof(bytes));
        return count > 0 ? std::string(bytes, static_cast<std::size_t>(count)) : "";
    }
    void close() { client_.reset(); }

private:
    static void ready(int fd) {
        pollfd entry{fd, POLLIN, 0};
        EXPECT_EQ(::poll(&entry, 1, 10'000), 1);
    }
    UnixListener listener_;
    FileDescriptor client_;
};

class MachinePollerTest : public testing::Test {
protected:
    /// As the caller's loop does it, until the condition holds.
    void run_until(const std::function<bool()>& condition) {
        const auto deadline = Clock::now() + std::chrono::seconds(10);
        while (!condition()) {
            ASSERT_LT(Clock::now(), deadline);
            pollfd entry{poller.fd(), poller.events(), 0};
            ::poll(&entry, 1, 1);
            poller.process(entry.revents, now);
        }
    }
    void expect_question(const char* command) {
        EXPECT_EQ(machine->receive(), std::string("{\"execute\":\"") + command + "\"}\r\n");
    }
    void answer(const std::string& json) {
        machine->send("{\"return\": " + json + "}\r\n");
        step();
    }
    void step() {
        pollfd entry{poller.fd(), poller.events(), 0};
        ::poll(&entry, 1, 10'000);
        poller.process(entry.revents, now);
    }
    void start() {
        machine.emplace(path);
        poller.process(0, now);
        machine->accept();
        machine->send(greeting);
        step();
        expect_question("qmp_capabilities");
        answer("{}");
        expect_question("query-name");
        answer(R"({"name": "vm1"})");
        expect_question("query-status");
        answer(R"({"status": "running"})");
        expect_question("query-migrate");
    }

    const std::string path = testing::TempDir() + "/poller-" + std::to_string(::getpid());
    Clock::time_point now = Clock::now();
    std::optional<Machine> machine;
    MachinePoller poller{"unix:" + path, milliseconds(500)};
};

TEST_F(MachinePollerTest, AsksInTurnAndAgainAfterItsInterval) {
    start();
    EXPECT_FALSE(poller.has_news());
    machine->send("{\"event\": \"STOP\"}\r\n");
    answer(R"({"status": "active", "ram": {"transferred": 5, "total": 10, "remaining": 5}})");
    EXPECT_EQ(poller.view().name, "vm1");
    EXPECT_EQ(poller.view().server, "QEMU 7.2.22");
    EXPECT_EQ(poller.view().run_state, "running");
    EXPECT_EQ(poller.view().migration.status, "active");
    EXPECT_EQ(poller.view().course.remaining().size(), 1U);
    EXPECT_EQ(poller.revision(), 1U);
    EXPECT_EQ(poller.due(), now + milliseconds(500));
    now += milliseconds(500);
    poller.process(0, now);
    // The name is known by now.
    expect_question("query-status");
    answer(R"({"status": "paused"})");
    expect_question("query-migrate");
    answer("{}");
    EXPECT_EQ(poller.view().run_state, "paused");
    EXPECT_EQ(poller.view().migration.status, "");
    EXPECT_EQ(poller.revision(), 2U);
}

TEST_F(MachinePollerTest, ShowsASilenceAndItsEnd) {
    start();
    now += milliseconds(2100);
    poller.process(0, now);
    EXPECT_EQ(poller.view().trouble, "no answer for 2 s");
    now += milliseconds(1000);
    poller.process(0, now);
    EXPECT_EQ(poller.view().trouble, "no answer for 3 s");
    EXPECT_EQ(plain_line(poller), "vm1: no answer for 3 s");
    answer(R"({"status": "failed", "error-desc": "x\ty"})");
    EXPECT_EQ(poller.view().trouble, "");
    EXPECT_EQ(plain_line(poller), "vm1: running, failed: x\\x09y");
}

TEST_F(MachinePollerTest, ConnectsAgainToOneThatHasGone) {
    start();
    answer("{}");
    machine->close();
    run_until([this] { return poller.fd() < 0; });
    EXPECT_EQ(poller.view().trouble, "it has closed the connection");
    machine.reset();
    now += milliseconds(1000);
    poller.process(0, now);
    EXPECT_EQ(poller.view().trouble, "not there: No such file or directory");
    now += milliseconds(1000);
    start();
    answer("{}");
    EXPECT_EQ(poller.view().trouble, "");
    EXPECT_EQ(plain_line(poller), "vm1: running, no migration");
}

TEST_F(MachinePollerTest, TakesNothingForGranted) {
    start();
    machine->send("{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no\"}}\r\n");
    step();
    EXPECT_EQ(poller.revision(), 1U);
    EXPECT_EQ(poller.view().migration.status, "");
    // Nobody asked for this.
    machine->send("{\"return\": 7}\r\n{\"return\": {}}\r\n");
    step();
    EXPECT_EQ(poller.revision(), 1U);
    machine->send("[]\r\n");
    run_until([this] { return poller.fd() < 0; });
    EXPECT_EQ(poller.view().trouble, "what it says is not QMP");
}

TEST_F(MachinePollerTest, RefusesWhatIsNoQmpSocket) {
    machine.emplace(path);
    poller.process(0, now);
    machine->accept();
    machine->send("{\"hello\": 1}\r\n");
    run_until([this] { return poller.fd() < 0; });
    EXPECT_EQ(poller.view().trouble, "this is not a QMP socket: the greeting is missing");
    MachinePoller nowhere(std::string(200, 'x'), milliseconds(500));
    nowhere.process(0, now);
    EXPECT_NE(nowhere.view().trouble.find("is not the path"), std::string::npos);
    EXPECT_TRUE(nowhere.has_news());
}

TEST_F(MachinePollerTest, ItsLinesAreJsonAndText) {
    start();
    answer(
        R"({"status": "active", "cpu-throttle-percentage": 30, "convergence": {"verdict": "stalled", "advice": "wait"},
        "ram": {"transferred": 1048576, "total": 10, "remaining": 5}})");
    EXPECT_NE(plain_line(poller).find("vm1: running, active  pass 0  sent 1.0 MiB"), std::string::npos);
    EXPECT_NE(plain_line(poller).find("throttle 30 %  stalled (wait)"), std::string::npos) << plain_line(poller);
    const Json line = Json::parse(json_line(poller));
    EXPECT_EQ(line["name"], "vm1");
    EXPECT_EQ(line["reachable"], true);
    EXPECT_EQ(line["migration"]["status"], "active");
    EXPECT_FALSE(line.contains("trouble"));
}

TEST_F(MachinePollerTest, ALineComesWithAChangeOrASecondLater) {
    start();
    answer(R"({"status": "active", "ram": {}})");
    LinePacer pacer;
    EXPECT_TRUE(pacer.is_due(poller, now));
    EXPECT_FALSE(pacer.is_due(poller, now + milliseconds(999)));
    EXPECT_TRUE(pacer.is_due(poller, now + milliseconds(1000)));
    now += milliseconds(500);
    poller.process(0, now);
    expect_question("query-status");
    answer(R"({"status": "postmigrate"})");
    expect_question("query-migrate");
    answer(R"({"status": "completed", "ram": {}})");
    EXPECT_TRUE(pacer.is_due(poller, now + milliseconds(1001)));
    EXPECT_FALSE(pacer.is_due(poller, now + milliseconds(9000)));
}

}  // namespace
}  // namespace godwit
