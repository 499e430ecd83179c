#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "cli/standard_streams.h"
#include "godwit/executor.h"
#include "io/cancel_event.h"
#include "io/event_loop.h"
#include "io/monotonic_clock.h"
#include "monitor/command_table.h"
#include "monitor/hmp_session.h"

namespace godwit {

/// The human monitor on the standard input and output: with line editing at a terminal, with plain lines otherwise.
///
/// A thread of its own reads and writes, because both may block; it hands each line to the event loop and waits for the
/// answer. The end of the input ends this monitor only.
class TerminalMonitor : private CommandClient {
public:
    /// The descriptors stay the caller's; the references outlive the monitor. The loop's thread. Errors: `io`.
    static Result<std::unique_ptr<TerminalMonitor>> start(int input, int output, EventLoop& loop,
                                                          const CommandTable& commands);
    /// Ends every wait and leaves the terminal as it was. The loop's thread.
    ~TerminalMonitor() override;
    TerminalMonitor(const TerminalMonitor&) = delete;
    TerminalMonitor& operator=(const TerminalMonitor&) = delete;

private:
    TerminalMonitor(int input, int output, EventLoop& loop, const CommandTable& commands,
                    std::unique_ptr<CancelEvent> cancel);
    FileDescriptor take_descriptor() override { return {}; }

    // The monitor's thread.
    void serve();
    /// Has the session take input and shows its answers. False: nothing more is to be read.
    bool ask(std::string bytes);

    // The loop's thread.
    /// Lets the session run what is there, now or once the command that runs has ended.
    void go_on();
    bool send(std::string_view text);

    EventLoop& loop_;
    const CommandTable& commands_;
    const MonotonicClock clock_;
    const std::unique_ptr<CancelEvent> cancel_;
    const StandardStreams streams_;
    const bool edited_;
    /// Tasks that were posted find out through it that the monitor is gone.
    const std::shared_ptr<char> alive_ = std::make_shared<char>();

    // The loop's thread only.
    HmpSession session_;
    std::string input_;
    std::optional<int> poll_timer_;
    std::unique_ptr<Thread> thread_;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::string output_;     ///< under mutex_: what the monitor's thread has to show
    bool answered_ = false;  ///< under mutex_: nothing more will come for what was asked
    bool ended_ = false;     ///< under mutex_: the program ends, or this monitor does
};

}  // namespace godwit
