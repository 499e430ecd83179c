#pragma once

#include <CLI/App.hpp>
#include <string>

#include "cli/exit_status.h"
#include "godwit/error.h"
#include "monitor/json.h"

namespace godwit {

// Each adds one subcommand; when it is chosen, it runs inside the parsing of the command line and leaves its exit
// status in `status`, which outlives the parsing.

void add_run_command(CLI::App& app, int& status);
void add_migrate_command(CLI::App& app, int& status);
void add_status_command(CLI::App& app, int& status);
void add_cancel_command(CLI::App& app, int& status);
void add_stop_command(CLI::App& app, int& status);
void add_cont_command(CLI::App& app, int& status);
void add_own_command(CLI::App& app, int& status);
void add_qmp_command(CLI::App& app, int& status);
void add_inspect_command(CLI::App& app, int& status);
void add_diff_command(CLI::App& app, int& status);
void add_verify_command(CLI::App& app, int& status);
void add_relay_command(CLI::App& app, int& status);
void add_trace_command(CLI::App& app, int& status);
void add_bench_command(CLI::App& app, int& status);
void add_top_command(CLI::App& app, int& status);
void add_errors_command(CLI::App& app, int& status);

/// Prints an error to the standard error output: what happened with the code, and, on a line of its own, what to do.
/// A `peer_failed` is printed without a code: its message names the peer's.
void print_error(const Error& error);

/// The exit status for an error of `QmpClient`.
int exit_status_of(const Error& error);

/// Connects to a machine, sends one command and returns its answer.
Result<Json> ask(const std::string& socket, const std::string& command, const Json& arguments = Json::object());

}  // namespace godwit
