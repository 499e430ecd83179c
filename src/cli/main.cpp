#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "cli/program.h"

namespace {

/// Makes /dev/null of each standard descriptor that the program was started without. Otherwise the next file that is
/// opened, a socket or guest memory, would be taken for the standard input or output. False if that cannot be done.
bool open_standard_descriptors() {
    while (true) {
        // The lowest free number is given out.
        const int fd = ::open("/dev/null", O_RDWR);
        if (fd < 0 || fd > STDERR_FILENO) {
            return fd >= 0 && ::close(fd) == 0;
        }
    }
}

/// UCX, which carries RDMA, reads these only from the environment, when it is loaded. What the user has set stays.
bool set_defaults_of_ucx() {
    // It would patch mmap and its relatives in this process. What the patches serve, a cache of registrations, is not
    // needed: memory is registered by the program itself.
    return ::setenv("UCX_MEM_EVENTS", "n", 0) == 0 &&
           // To connect to a host that does not answer would block.
           ::setenv("UCX_TCP_CONN_NB", "y", 0) == 0 &&
           // One step of UCX handles one message: within a step, UCX does not survive the end of a source over tcp.
           ::setenv("UCX_TCP_MAX_POLL", "1", 0) == 0 && ::setenv("UCX_TCP_RX_SEG_SIZE", "8k", 0) == 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (!open_standard_descriptors()) {
        std::perror("godwit: cannot open /dev/null");
        return godwit::exit_failure;
    }
    if (!set_defaults_of_ucx()) {
        std::perror("godwit: cannot set environment variables");
        return godwit::exit_failure;
    }
    // A peer that goes away is an error of a call, never the end of the program.
    std::signal(SIGPIPE, SIG_IGN);
    // Nor is a file that has reached the limit for its size: a log or a trace must not end the guest.
    std::signal(SIGXFSZ, SIG_IGN);
    try {
        return godwit::run_program(argc, argv);
    } catch (const std::exception& error) {
        // Only libraries throw, and only when there is no memory left or worse.
        fmt::print(stderr, "godwit: unexpected end: {}\n", error.what());
        return godwit::exit_failure;
    }
}
