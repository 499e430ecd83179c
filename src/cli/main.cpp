#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>

#include "cli/program.h"

int main(int argc, char** argv) {
    // A peer that goes away is an error of a call, never the end of the program.
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return godwit::run_program(argc, argv);
    } catch (const std::exception& error) {
        // Only libraries throw, and only when there is no memory left or worse.
        fmt::print(stderr, "godwit: unexpected end: {}\n", error.what());
        return godwit::exit_failure;
    }
}
