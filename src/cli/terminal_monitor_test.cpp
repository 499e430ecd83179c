#include "cli/terminal_monitor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

#include "monitor/basic_commands.h"

namespace godwit {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::seconds patience{20};

/// A monitor whose loop runs on a thread of its own. The test holds the other ends of its descriptors.
class TerminalMonitorTest : public ::testing::Test {
protected:
    TerminalMonitorTest() {
        add_basic_commands(commands_, [this] { quit_ = true; });
        commands_.add({"migrate", "", {{"uri", ArgumentType::string}}, [](const Json&, CommandClient&) -> Result<Json> {
                           return Json::object();
                       }});
        commands_.add({"query-migrate", "", {}, [this](const Json&, CommandClient&) -> Result<Json> {
                           return Json{{"status", migrating_ ? "active" : "completed"}};
                       }});
    }
    ~TerminalMonitorTest() override { stop(); }

    void use_pipes() {
        int to[2];
        int from[2];
        ASSERT_EQ(::pipe2(to, O_CLOEXEC), 0);
        ASSERT_EQ(::pipe2(from, O_CLOEXEC), 0);
        their_input_.reset(to[0]);
        our_output_.reset(to[1]);
        our_input_.reset(from[0]);
        their_output_.reset(from[1]);
    }
    void use_terminal() {
        int ours = -1;
        int theirs = -1;
        const winsize size{.ws_row = 40, .ws_col = 100, .ws_xpixel = 0, .ws_ypixel = 0};
        ASSERT_EQ(::openpty(&ours, &theirs, nullptr, nullptr, &size), 0);
        ASSERT_EQ(::tcgetattr(theirs, &modes_), 0);
        our_input_.reset(ours);
        our_output_.reset(::dup(ours));
        their_input_.reset(theirs);
        their_output_.reset(::dup(theirs));
        ::setenv("TERM", "vt100", 1);
    }
    void start() {
        auto monitor = TerminalMonitor::start(their_input_.get(), their_output_.get(), loop_, commands_);
        ASSERT_TRUE(monitor) << monitor.error().text();
        monitor_ = std::move(*monitor);
        thread_ = std::thread([this] { loop_.run(); });
    }
    void stop() {
        if (thread_.joinable()) {
            loop_.quit();
            thread_.join();
        }
        monitor_.reset();
    }
    void type_long(std::size_t length, char end) {
        std::string line(length, 'x');
        line += end;
        type(line);
    }
    void type(std::string_view text) {
        ASSERT_EQ(::write(our_output_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
    /// Everything up to and with `end`.
    std::string until(const std::string& end) {
        for (const auto deadline = SteadyClock::now() + patience; SteadyClock::now() < deadline;) {
            if (const auto at = shown_.find(end); at != std::string::npos) {
                std::string text = shown_.substr(0, at + end.size());
                shown_.erase(0, at + end.size());
                return text;
            }
            pollfd entry{our_input_.get(), POLLIN, 0};
            char bytes[512];
            const ssize_t count = ::poll(&entry, 1, 100) > 0 ? ::read(our_input_.get(), bytes, sizeof(bytes)) : 0;
            shown_.append(bytes, count > 0 ? static_cast<std::size_t>(count) : 0);
        }
        ADD_FAILURE() << "'" << end << "' did not come, but '" << shown_ << "'";
        return shown_;
    }

    CommandTable commands_;
    std::atomic<bool> quit_ = false;
    std::atomic<bool> migrating_ = true;
    EventLoop loop_;
    FileDescriptor their_input_;
    FileDescriptor their_output_;
    FileDescriptor our_input_;
    FileDescriptor our_output_;
    termios modes_{};
    std::string shown_;
    std::unique_ptr<TerminalMonitor> monitor_;
    std::thread thread_;
};

TEST_F(TerminalMonitorTest, ServesAPipe) {
    use_pipes();
    start();
    EXPECT_TRUE(until("(godwit) ").starts_with("godwit "));
    type("help quit\nhelp");
    EXPECT_EQ(until("(godwit) "), "quit|q  -- end the program\n(godwit) ");
    type(" quit\n");
    EXPECT_EQ(until("(godwit) "), "quit|q  -- end the program\n(godwit) ");
    type_long(5000, '\n');
    EXPECT_EQ(until("(godwit) "), "Error: the line has more than 4096 bytes\n(godwit) ");
    our_output_.reset();
    stop();
    EXPECT_FALSE(quit_) << "the end of the input ends only the monitor";
}

TEST_F(TerminalMonitorTest, WaitsForAMigration) {
    use_pipes();
    start();
    until("(godwit) ");
    type("migrate tcp:a:1\nhelp quit\n");
    EXPECT_EQ(until("\r"), "Completed 0 %\r");
    migrating_ = false;
    EXPECT_EQ(until("(godwit) "), "\n(godwit) ");
    EXPECT_EQ(until("(godwit) "), "quit|q  -- end the program\n(godwit) ");
    type("quit\n");
    while (!quit_) {
        std::this_thread::yield();
    }
}

TEST_F(TerminalMonitorTest, EndsInTheMiddleOfAnything) {
    use_pipes();
    start();
    until("(godwit) ");
    stop();  // it waits for input
    start();
    until("(godwit) ");
    type("migrate tcp:a:1\n");
    until("\r");
    stop();  // it waits for a migration
    start();
    until("(godwit) ");
    std::string noise;
    for (int i = 0; i < 2000; ++i) {
        noise += "help\n";
    }
    type(noise);
    pollfd entry{our_input_.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&entry, 1, 20'000), 1);
    stop();  // it waits for somebody to read
}

TEST_F(TerminalMonitorTest, EditsAndCompletesAtATerminal) {
    use_terminal();
    start();
    until("(godwit) ");
    // A slip, to the beginning and back to the end, completion. What is shown of it is up to the terminal.
    type("help qx\b\x01\x05u\t\r");
    until("quit|q  -- end the program\r\n");
    type("\x1b[A\r");  // up
    until("quit|q  -- end the program\r\n");
    type_long(300, '\r');
    until("Error: unknown command: 'xxx");
    until("(godwit) ");
    type("\x04");
    until("\n");
    EXPECT_FALSE(quit_) << "Ctrl-D ends only the monitor";
    stop();
    termios now{};
    ASSERT_EQ(::tcgetattr(their_input_.get(), &now), 0);
    EXPECT_EQ(now.c_lflag, modes_.c_lflag) << "the terminal is as it was";
    EXPECT_EQ(now.c_iflag, modes_.c_iflag);
}

TEST_F(TerminalMonitorTest, LeavesTheTerminalAsItWas) {
    use_terminal();
    start();
    until("(godwit) ");
    type("info migr");
    until("migr");
    stop();
    termios now{};
    ASSERT_EQ(::tcgetattr(their_input_.get(), &now), 0);
    EXPECT_EQ(now.c_lflag, modes_.c_lflag);
}

}  // namespace
}  // namespace godwit
