#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/printable.h"
#include "cli/migration_watch.h"
#include "cli/progress.h"
#include "cli/qmp_client.h"
#include "cli/subcommands.h"

namespace godwit {

namespace {

std::string text_of(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? printable(found->get<std::string>()) : "";
}

std::string address_text(const Json& address) {
    if (text_of(address, "type") == "inet") {
        return fmt::format("tcp:{}:{}", text_of(address, "host"), text_of(address, "port"));
    }
    return fmt::format("{}:{}", text_of(address, "type"), text_of(address, "path"));
}

void print_migration(const Json& report) {
    if (const auto addresses = report.find("socket-address"); addresses != report.end() && addresses->is_array()) {
        for (const Json& address : *addresses) {
            fmt::print("waits at:   {}\n", address_text(address));
        }
    }
    const std::string status = migration_status(report);
    if (status.empty()) {
        fmt::print("migration:  none\n");
    } else if (status == "completed" && report.contains("ram")) {
        fmt::print("migration:  completed: {}\n", completion_text(report));
    } else if (report.contains("ram")) {
        fmt::print("migration:  {}\n", progress_line(report));
    } else {
        fmt::print("migration:  {}\n", status);
    }
    if (const auto convergence = report.find("convergence"); convergence != report.end() && convergence->is_object()) {
        if (const std::string advice = text_of(*convergence, "advice"); !advice.empty()) {
            fmt::print("{:<11} {}\n", text_of(*convergence, "verdict") + ":", advice);
        }
    }
    if (const auto blocked = report.find("blocked-reasons"); blocked != report.end() && blocked->is_array()) {
        for (const Json& reason : *blocked) {
            fmt::print("blocked:    {}\n", reason.is_string() ? printable(reason.get<std::string>()) : "");
        }
    }
    if (const std::string error = text_of(report, "error-desc"); !error.empty()) {
        const std::string code = text_of(report, "x-godwit-error-code");
        fmt::print("error:      {}{}\n", error, code.empty() ? "" : " [" + code + "]");
    }
    if (const std::string hint = text_of(report, "x-godwit-error-hint"); !hint.empty()) {
        fmt::print("what to do: {}\n", hint);
    }
}

Status print_status(const std::string& socket) {
    auto client = QmpClient::connect(socket);
    if (!client) {
        return fail(client.error());
    }
    const auto machine = client->execute("query-status");
    if (!machine) {
        return fail(machine.error());
    }
    const auto migration = client->execute("query-migrate");
    if (!migration) {
        return fail(migration.error());
    }
    fmt::print("program:    {}\n", client->server());
    fmt::print("machine:    {}\n", text_of(*machine, "status"));
    print_migration(*migration);
    return {};
}

}  // namespace

void add_status_command(CLI::App& app, int& status) {
    auto socket = std::make_shared<std::string>();
    CLI::App* command = app.add_subcommand("status", "Show what a virtual machine and its migration are doing");
    command->add_option("QMP_SOCKET", *socket, "QMP socket of the virtual machine")->required();
    command->footer("Example:\n  godwit status /tmp/vm1.qmp");
    command->callback([socket, &status] {
        const auto outcome = print_status(*socket);
        if (!outcome) {
            print_error(outcome.error());
        }
        status = outcome ? exit_success : exit_status_of(outcome.error());
    });
}

}  // namespace godwit
