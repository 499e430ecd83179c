#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/subcommands.h"

namespace godwit {

namespace {

int send(const std::string& socket, const std::string& command, const Json& arguments = Json::object()) {
    const auto answer = ask(socket, command, arguments);
    if (!answer) {
        print_error(answer.error());
        return exit_status_of(answer.error());
    }
    return exit_success;
}

/// A subcommand that takes a socket; the caller adds the rest.
CLI::App* socket_command(CLI::App& app, const char* name, const char* description, std::string& socket) {
    CLI::App* command = app.add_subcommand(name, description);
    command->add_option("QMP_SOCKET", socket, "QMP socket of the virtual machine")->required();
    command->footer(fmt::format("Example:\n  godwit {} /tmp/vm1.qmp", name));
    return command;
}

void add_plain(CLI::App& app, int& status, const char* name, const char* description, const char* qmp_command) {
    auto socket = std::make_shared<std::string>();
    socket_command(app, name, description, *socket)->callback([socket, qmp_command, &status] {
        status = send(*socket, qmp_command);
    });
}

}  // namespace

void add_cancel_command(CLI::App& app, int& status) {
    add_plain(app, status, "cancel", "Cancel a virtual machine's outgoing migration; the guest goes on there",
              "migrate_cancel");
}

void add_stop_command(CLI::App& app, int& status) {
    add_plain(app, status, "stop", "Pause a guest", "stop");
}

void add_cont_command(CLI::App& app, int& status) {
    auto socket = std::make_shared<std::string>();
    auto force = std::make_shared<bool>(false);
    CLI::App* command = socket_command(app, "cont", "Let a paused guest go on", *socket);
    command->add_flag("--force", *force, "even if the guest may be running elsewhere; see 'godwit own --help'");
    command->callback([socket, force, &status] {
        status = send(*socket, "cont", *force ? Json{{"force", true}} : Json::object());
    });
}

void add_own_command(CLI::App& app, int& status) {
    auto socket = std::make_shared<std::string>();
    CLI::App* command =
        socket_command(app, "own", "Take a guest whose owner is unknown after a broken handover", *socket);
    command->footer(
        "When the connection breaks in the middle of a handover, neither side can know which of them owns the guest; "
        "then\n"
        "both keep it paused. Look at both sides with 'godwit status', and wait until the other side's migration has\n"
        "ended, or end its program: until then it may still start the guest. If the guest runs on neither, run\n"
        "'godwit own' on exactly one of them and end the other: two running copies would destroy the guest's data.\n\n"
        "Example:\n  godwit own /tmp/vm1.qmp");
    command->callback([socket, &status] {
        status = send(*socket, "cont", {{"force", true}});
        if (status == exit_success) {
            fmt::print(
                "The guest has been taken: from now on this side owns it. Make sure that it does not run on the other\n"
                "side (godwit status), and end the other side's program.\n");
        }
    });
}

}  // namespace godwit
