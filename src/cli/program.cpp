#include "cli/program.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/subcommands.h"
#include "godwit/version.h"

namespace godwit {

namespace {

/// The command whose help serves somebody who has made a mistake: the subcommand that was chosen, if one was.
std::string help_command(const CLI::App& app) {
    for (const CLI::App* command : app.get_subcommands()) {
        return "godwit " + command->get_name() + " --help";
    }
    return "godwit --help";
}

bool has_subcommand(const CLI::App& app, const std::string& name) {
    const auto known = app.get_subcommands([&](const CLI::App* command) { return command->check_name(name); });
    return !known.empty();
}

}  // namespace

int run_program(int argc, const char* const* argv) {
    CLI::App app("godwit runs virtual machines and moves them to other processes and hosts while they run.", "godwit");
    app.set_version_flag("--version", std::string("godwit ") + version_string);
    app.require_subcommand(1);
    app.get_formatter()->column_width(36);
    app.footer(
        "Example: start a machine, start the place where it goes to, and move it\n"
        "  godwit run --kernel guest.elf --serial stdio --qmp unix:/tmp/a.qmp\n"
        "  godwit run --qmp unix:/tmp/b.qmp --incoming tcp:127.0.0.1:4444\n"
        "  godwit migrate /tmp/a.qmp tcp:127.0.0.1:4444\n\n"
        "'godwit COMMAND --help' tells more about each command.");
    int status = exit_success;
    add_run_command(app, status);
    add_migrate_command(app, status);
    add_status_command(app, status);
    add_top_command(app, status);
    add_cancel_command(app, status);
    add_stop_command(app, status);
    add_cont_command(app, status);
    add_own_command(app, status);
    add_qmp_command(app, status);
    add_inspect_command(app, status);
    add_diff_command(app, status);
    add_verify_command(app, status);
    add_relay_command(app, status);
    add_trace_command(app, status);
    add_bench_command(app, status);
    add_errors_command(app, status);
    if (argc > 1 && argv[1][0] != '-' && !has_subcommand(app, argv[1])) {
        fmt::print(stderr, "godwit: unknown command '{}'\n  'godwit --help' lists the commands\n", argv[1]);
        return exit_usage;
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
            return app.exit(error);
        }
        fmt::print(stderr, "godwit: {}\n  see '{}'\n", error.what(), help_command(app));
        return exit_usage;
    }
    return status;
}

}  // namespace godwit
