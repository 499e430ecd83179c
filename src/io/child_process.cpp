#include "io/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "io/shown_text.h"
#include "io/system_error.h"

namespace godwit {

namespace {

constexpr int first_ordinary_fd = 3;
/// How long the end of a killed child is awaited; only one that hangs in the kernel takes longer.
constexpr int reap_timeout_ms = 2000;

/// What a child is started with; owns what the system's interface needs.
class SpawnPlan {
public:
    SpawnPlan() {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawnattr_init(&attributes_);
    }
    ~SpawnPlan() {
        ::posix_spawn_file_actions_destroy(&actions_);
        ::posix_spawnattr_destroy(&attributes_);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;

    /// Returns an errno value; so do the following ones.
    int set_descriptors(int input, int output) {
        int error = open_or_duplicate(input, STDIN_FILENO);
        // Standard error first: it may be copied to standard output.
        if (error == 0 && ::fcntl(STDERR_FILENO, F_GETFD) < 0) {
            error = ::posix_spawn_file_actions_addopen(&actions_, STDERR_FILENO, "/dev/null", O_RDWR, 0);
        }
        if (error == 0) {
            error = open_or_duplicate(output < 0 ? STDERR_FILENO : output, STDOUT_FILENO);
        }
        // Also those that someone else in the program failed to make close-on-exec.
        return error != 0 ? error : ::posix_spawn_file_actions_addclosefrom_np(&actions_, first_ordinary_fd);
    }

    int set_attributes() {
        sigset_t all_signals;
        sigset_t no_signals;
        ::sigfillset(&all_signals);
        ::sigdelset(&all_signals, SIGKILL);
        ::sigdelset(&all_signals, SIGSTOP);
        ::sigemptyset(&no_signals);
        ::posix_spawnattr_setpgroup(&attributes_, 0);
        ::posix_spawnattr_setsigdefault(&attributes_, &all_signals);
        ::posix_spawnattr_setsigmask(&attributes_, &no_signals);
        return ::posix_spawnattr_setflags(&attributes_,
                                          POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    }

    int spawn_shell(pid_t& pid, const std::string& command) {
        std::string shell = "sh";
        std::string option = "-c";
        std::string text = command;
        char* arguments[] = {shell.data(), option.data(), text.data(), nullptr};
        return ::posix_spawn(&pid, "/bin/sh", &actions_, &attributes_, arguments, environ);
    }

private:
    int open_or_duplicate(int fd, int target) {
        return fd < 0 ? ::posix_spawn_file_actions_addopen(&actions_, target, "/dev/null", O_RDWR, 0)
                      : ::posix_spawn_file_actions_adddup2(&actions_, fd, target);
    }

    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

/// Moves a descriptor out of the way of 0, 1 and 2.
Status make_ordinary(FileDescriptor& fd) {
    if (fd.valid() && fd.get() < first_ordinary_fd) {
        const int moved = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, first_ordinary_fd);
        if (moved < 0) {
            return fail_errno(ErrorCode::io, "cannot copy a descriptor", errno);
        }
        fd.reset(moved);
    }
    return {};
}

ChildEnd end_from(const siginfo_t& info) {
    const bool exited = info.si_code == CLD_EXITED;
    return {exited ? ChildEnd::Kind::exited : ChildEnd::Kind::signalled, info.si_status};
}

}  // namespace

std::string ChildEnd::text() const {
    switch (kind) {
        case Kind::exited:
            return fmt::format("ended with status {}", value);
        case Kind::signalled: {
            const char* description = ::sigdescr_np(value);
            return fmt::format("was killed by signal {} ({})", value, description != nullptr ? description : "unknown");
        }
        case Kind::unknown:
            break;
    }
    return "ended in an unknown way: the program ignores SIGCHLD";
}

Result<std::unique_ptr<ChildProcess>> ChildProcess::spawn(const std::string& command, FileDescriptor input,
                                                          FileDescriptor output) {
    for (FileDescriptor* fd : {&input, &output}) {
        if (auto moved = make_ordinary(*fd); !moved) {
            return fail(moved.error());
        }
    }
    SpawnPlan plan;
    pid_t pid = -1;
    int error = plan.set_descriptors(input.get(), output.get());
    if (error == 0) {
        error = plan.set_attributes();
    }
    if (error == 0) {
        error = plan.spawn_shell(pid, command);
    }
    if (error != 0) {
        return fail_errno(ErrorCode::io, fmt::format("cannot start '{}'", shown_command(command)), error);
    }
    FileDescriptor exit_event(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    const int event_error = errno;
    const bool has_event = exit_event.valid();
    std::unique_ptr<ChildProcess> child(new ChildProcess(pid, std::move(exit_event)));
    if (!has_event) {
        return fail_errno(ErrorCode::io, fmt::format("cannot watch '{}'", shown_command(command)), event_error);
    }
    return child;
}

ChildProcess::~ChildProcess() {
    kill();
    if (exit_event_.valid()) {
        pollfd event{.fd = exit_event_.get(), .events = POLLIN, .revents = 0};
        while (!try_reap()) {
            const int count = ::poll(&event, 1, reap_timeout_ms);
            if (count == 0 || (count < 0 && errno != EINTR)) {
                return;  // it stays a zombie until the program ends
            }
        }
    } else {
        ::waitpid(pid_, nullptr, 0);
    }
}

void ChildProcess::kill() {
    const std::lock_guard lock(mutex_);
    if (!end_) {
        ::kill(-pid_, SIGKILL);
    }
}

std::optional<ChildEnd> ChildProcess::try_reap() {
    const std::lock_guard lock(mutex_);
    if (!end_) {
        siginfo_t info{};
        const int outcome = ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG);
        if (outcome == 0 && info.si_pid == pid_) {
            end_ = end_from(info);
        } else if (outcome != 0 && errno == ECHILD) {
            end_ = ChildEnd{};
        }
    }
    return end_;
}

std::optional<ChildEnd> ChildProcess::wait(const CancelEvent& cancel, Instant deadline, const Clock& clock,
                                           WaitOutcome& outcome) {
    for (;;) {
        if (auto end = try_reap()) {
            outcome = WaitOutcome::ready;
            return end;
        }
        outcome = cancel.wait(exit_event_.get(), POLLIN, deadline, clock);
        if (outcome != WaitOutcome::ready) {
            return std::nullopt;
        }
    }
}

}  // namespace godwit
