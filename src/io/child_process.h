#pragma once

#include <sys/types.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "godwit/error.h"
#include "io/cancel_event.h"
#include "io/file_descriptor.h"

namespace godwit {

/// How a child ended.
struct ChildEnd {
    enum class Kind { exited, signalled, unknown };
    Kind kind = Kind::unknown;
    /// Exit status or signal number.
    int value = 0;

    bool success() const { return kind == Kind::exited && value == 0; }
    /// "ended with status 3", "was killed by signal 9 (Killed)"
    std::string text() const;
};

/// A shell command that runs in a process group of its own and holds no descriptor besides 0, 1 and 2. Standard error
/// is the program's. The whole group is killed, and the child reaped, when the object goes while it runs.
class ChildProcess {
public:
    /// `input` becomes the command's standard input; without it that is /dev/null. `output` becomes its standard
    /// output; without it that is the program's standard error (its standard output may be a guest's serial port).
    /// Guest memory is not copied for the child. Errors: `io`.
    static Result<std::unique_ptr<ChildProcess>> spawn(const std::string& command, FileDescriptor input,
                                                       FileDescriptor output);
    ~ChildProcess();
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;

    /// Ends the process group by force. Any thread, never blocks.
    void kill();

    /// Waits for the child's end and reaps it. Empty when the wait ended before; `outcome` says why.
    std::optional<ChildEnd> wait(const CancelEvent& cancel, Instant deadline, const Clock& clock, WaitOutcome& outcome);

    pid_t pid() const { return pid_; }

private:
    ChildProcess(pid_t pid, FileDescriptor exit_event) : pid_(pid), exit_event_(std::move(exit_event)) {}
    std::optional<ChildEnd> try_reap();

    const pid_t pid_;
    /// A pidfd: readable once the child has ended.
    const FileDescriptor exit_event_;
    std::mutex mutex_;
    /// Under mutex_. Once it is set, the pid may belong to somebody else.
    std::optional<ChildEnd> end_;
};

}  // namespace godwit
