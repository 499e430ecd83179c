#pragma once

#include "cli/exit_status.h"

namespace godwit {

/// The whole program: chooses the subcommand and runs it. Returns the exit status.
int run_program(int argc, const char* const* argv);

}  // namespace godwit
