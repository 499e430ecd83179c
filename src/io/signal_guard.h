#pragma once

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <cerrno>

namespace godwit {

/// Keeps a signal that a write may raise on its own thread (SIGPIPE, SIGXFSZ) from reaching the program, without
/// touching the program's handlers: the signal is blocked on this thread for a scope, and consumed if the write raised
/// it.
class SignalGuard {
public:
    explicit SignalGuard(int signal) {
        ::sigemptyset(&set_);
        ::sigaddset(&set_, signal);
        sigset_t pending;
        ::sigpending(&pending);
        // One that is pending was blocked by the program already and belongs to it.
        was_pending_ = ::sigismember(&pending, signal) == 1;
        if (!was_pending_) {
            ::pthread_sigmask(SIG_BLOCK, &set_, &mask_before_);
        }
    }
    ~SignalGuard() {
        if (was_pending_) {
            return;
        }
        if (raised_) {
            const timespec no_wait{.tv_sec = 0, .tv_nsec = 0};
            while (::sigtimedwait(&set_, nullptr, &no_wait) < 0 && errno == EINTR) {
            }
        }
        ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
    }
    SignalGuard(const SignalGuard&) = delete;
    SignalGuard& operator=(const SignalGuard&) = delete;

    /// To be called after a write failed with the error that comes along with the signal.
    void note_raised() { raised_ = true; }

private:
    sigset_t set_{};
    sigset_t mask_before_{};
    bool was_pending_ = false;
    bool raised_ = false;
};

}  // namespace godwit
