#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/subcommands.h"
#include "monitor/json_stream.h"

namespace godwit {

namespace {

struct QmpOptions {
    std::string socket;
    std::string command;
    std::string arguments = "{}";
};

Status send_command(const QmpOptions& options) {
    auto arguments = parse_json(options.arguments);
    if (!arguments || !arguments->is_object()) {
        return fail(ErrorCode::invalid_argument,
                    arguments ? "the arguments are not a JSON object" : "arguments: " + arguments.error().message,
                    R"(for example: '{"uri": "tcp:127.0.0.1:4444"}')");
    }
    auto answer = ask(options.socket, options.command, *arguments);
    if (!answer) {
        return fail(answer.error());
    }
    fmt::print("{}\n", answer->dump(2, ' ', false, Json::error_handler_t::replace));
    return {};
}

}  // namespace

void add_qmp_command(CLI::App& app, int& status) {
    auto options = std::make_shared<QmpOptions>();
    CLI::App* command = app.add_subcommand("qmp", "Send one QMP command and print the answer");
    command->add_option("QMP_SOCKET", options->socket, "QMP socket of the virtual machine")->required();
    command->add_option("COMMAND", options->command, "name of the command; query-commands lists them all")->required();
    command->add_option("ARGUMENTS", options->arguments, "a JSON object");
    command->footer(
        "Examples:\n  godwit qmp /tmp/vm1.qmp query-commands\n"
        "  godwit qmp /tmp/vm1.qmp migrate-set-parameters '{\"downtime-limit\": 50}'");
    command->callback([options, &status] {
        const auto outcome = send_command(*options);
        if (!outcome) {
            print_error(outcome.error());
        }
        status = outcome ? exit_success : exit_status_of(outcome.error());
    });
}

}  // namespace godwit
