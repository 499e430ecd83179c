#include "cli/memory_faults.h"

#include <signal.h>
#include <unistd.h>

#include <string_view>

#include "cli/exit_status.h"

namespace godwit {
namespace {

void end_program(int number, siginfo_t* info, void*) {
    if (info->si_code == BUS_ADRERR) {
        constexpr std::string_view text =
            "godwit: guest memory is lost: the file system of the memory file is full, or the file was cut short "
            "[memory]\n";
        [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
        ::_exit(exit_failure);
    }
    // Broken hardware, or a signal that somebody sent: as if nobody had looked.
    if (::signal(number, SIG_DFL) == SIG_ERR) {
        ::_exit(exit_failure);  // a confined thread may not: raised again, the signal would only lead here
    }
    ::raise(number);
}

}  // namespace

void explain_memory_faults() {
    struct sigaction action = {};
    action.sa_sigaction = end_program;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace godwit
