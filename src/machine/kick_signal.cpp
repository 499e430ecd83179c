#include "machine/kick_signal.h"

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace godwit {

namespace {

/// A real-time signal that nothing else in the program uses.
int kick_signal() {
    return SIGRTMIN + 2;
}

void ignore_kick(int /*signal*/) {}

}  // namespace

Status install_kick_handler() {
    struct sigaction action {};
    action.sa_handler = ignore_kick;
    // No SA_RESTART: the point is to interrupt.
    if (::sigaction(kick_signal(), &action, nullptr) != 0) {
        return fail(ErrorCode::internal, fmt::format("no handler for the kick signal: {}", std::strerror(errno)));
    }
    return {};
}

void accept_only_kicks() {
    sigset_t blocked;
    sigfillset(&blocked);
    // Faults of the program itself stay deadly.
    for (const int let_in : {kick_signal(), SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) {
        sigdelset(&blocked, let_in);
    }
    pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
}

void kick(pthread_t thread) {
    pthread_kill(thread, kick_signal());
}

}  // namespace godwit
