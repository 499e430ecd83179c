#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/subcommands.h"
#include "cli/top_loop.h"

namespace godwit {

void add_top_command(CLI::App& app, int& status) {
    auto options = std::make_shared<TopOptions>();
    auto interval_ms = std::make_shared<int>(500);
    CLI::App* command = app.add_subcommand("top", "Watch the migrations of virtual machines, live");
    command->add_option("QMP_SOCKET", options->sockets, "QMP sockets of the machines (of godwit or of QEMU)")
        ->required();
    command->add_option("--interval", *interval_ms, "ask the machines so often, in ms")
        ->capture_default_str()
        ->check(CLI::Range(20, 60'000));
    command->add_flag("--once", options->once, "print each machine once and end");
    command->add_flag("--json", options->json, "print a line of JSON for each machine and interval");
    command->footer(
        "On a terminal it fills the window; q or Ctrl-C ends it. Elsewhere it prints a line when something has\n"
        "changed, and one each second while memory moves. A machine that does not answer is shown as such.\n\n"
        "Exit status: 0; with --once 4 when a machine could not be asked.\n\n"
        "Examples:\n"
        "  godwit top /tmp/vm1.qmp /tmp/vm2.qmp\n"
        "  godwit top --once --json /tmp/vm1.qmp");
    command->callback([options, interval_ms, &status] {
        options->interval = std::chrono::milliseconds(*interval_ms);
        const auto outcome = run_top(*options);
        if (!outcome) {
            print_error(outcome.error());
        }
        status = outcome ? *outcome : exit_status_of(outcome.error());
    });
}

}  // namespace godwit
