#pragma once

#include <pthread.h>
#include <signal.h>

namespace godwit {

/// While it lives the calling thread gets no signals but those of its own faults, and a thread that it starts meanwhile
/// never does: the program's handlers of signals are kept off it. Destroyed by the thread that made it.
class BlockedSignals {
public:
    BlockedSignals() {
        sigset_t blocked;
        ::sigfillset(&blocked);
        // The kernel does not wait with these: it would end the program without asking who explains them.
        for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
            ::sigdelset(&blocked, fault);
        }
        ::pthread_sigmask(SIG_SETMASK, &blocked, &before_);
    }
    ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    BlockedSignals(const BlockedSignals&) = delete;
    BlockedSignals& operator=(const BlockedSignals&) = delete;

private:
    sigset_t before_{};
};

}  // namespace godwit
