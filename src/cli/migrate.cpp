#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/printable.h"
#include "cli/migrate_settings.h"
#include "cli/migration_watch.h"
#include "cli/qmp_client.h"
#include "cli/signal_watch.h"
#include "cli/subcommands.h"

namespace godwit {

namespace {

struct MigrateOptions {
    std::string socket;
    std::string uri;
    bool detach = false;
    bool block = false;
    bool incremental = false;
    std::optional<std::uint64_t> bandwidth_bytes_per_s;
    std::optional<std::uint64_t> downtime_ms;
    std::optional<double> timeout_s;
    std::vector<std::string> settings;
};

Status set_parameters(QmpClient& client, const MigrateOptions& options) {
    Json parameters = Json::object();
    if (options.bandwidth_bytes_per_s) {
        parameters["max-bandwidth"] = *options.bandwidth_bytes_per_s;
    }
    if (options.downtime_ms) {
        parameters["downtime-limit"] = *options.downtime_ms;
    }
    if (parameters.empty()) {
        return {};
    }
    auto answer = client.execute("migrate-set-parameters", parameters);
    return answer ? Status() : fail(answer.error());
}

std::string text_of(const Json& report, const char* name) {
    const auto found = report.find(name);
    return found != report.end() && found->is_string() ? printable(found->get<std::string>()) : "";
}

int report_failure(const Json& report) {
    const std::string code = text_of(report, "x-godwit-error-code");
    const std::string reason = text_of(report, "error-desc");
    print_error({ErrorCode::peer_failed,
                 fmt::format("migration failed: {}{}", reason.empty() ? "the virtual machine does not say why" : reason,
                             code.empty() ? "" : fmt::format(" [{}]", code)),
                 text_of(report, "x-godwit-error-hint")});
    return code == to_string(ErrorCode::handover_unknown) ? exit_handover_unknown : exit_failure;
}

int report_end(const Json& report, const MigrationWatch& watch) {
    const std::string status = migration_status(report);
    if (status == "completed") {
        fmt::print("migration completed: {}\n", completion_text(report));
        return exit_success;
    }
    if (status == "failed") {
        return report_failure(report);
    }
    fmt::print(stderr, "migration cancelled{}; the guest goes on at the source\n",
               watch.cancel_reason().empty() ? "" : " (" + watch.cancel_reason() + ")");
    return exit_cancelled;
}

int give_up(const Error& error) {
    print_error(error);
    return exit_status_of(error);
}

Json request_of(const MigrateOptions& options) {
    Json request = {{"uri", options.uri}};
    // Named only where they are asked for: a QEMU since 9.1 knows neither.
    if (options.block) {
        request["blk"] = true;
    }
    if (options.incremental) {
        request["inc"] = true;
    }
    return request;
}

int start(QmpClient& client, const MigrateOptions& options) {
    if (const auto started = client.execute("migrate", request_of(options)); !started) {
        return give_up(started.error());
    }
    fmt::print("migration started; 'godwit status {}' tells how it goes\n", options.socket);
    return exit_success;
}

int start_and_follow(QmpClient& client, const MigrateOptions& options) {
    // Before this there is nothing to cancel: a signal has its usual effect.
    auto signals = SignalWatch::create();
    if (!signals) {
        return give_up(signals.error());
    }
    const std::unique_ptr<Progress> progress = make_progress("moving to " + printable(options.uri));
    MigrationWatch watch(client, *signals, *progress);
    if (options.timeout_s) {
        watch.set_timeout(
            std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(*options.timeout_s)));
    }
    if (const auto started = client.execute("migrate", request_of(options)); !started) {
        return give_up(started.error());
    }
    const auto report = watch.run();
    progress->finish();
    if (!report) {
        print_error({report.error().code, report.error().message + "; it is unknown how the migration goes on",
                     report.error().hint});
        return exit_connection;
    }
    return report_end(*report, watch);
}

int migrate(const MigrateOptions& options) {
    auto client = QmpClient::connect(options.socket);
    if (!client) {
        return give_up(client.error());
    }
    if (auto status = change_settings(*client, options.settings); !status) {
        return give_up(status.error());
    }
    if (auto status = set_parameters(*client, options); !status) {
        return give_up(status.error());
    }
    return options.detach ? start(*client, options) : start_and_follow(*client, options);
}

}  // namespace

void add_migrate_command(CLI::App& app, int& status) {
    auto options = std::make_shared<MigrateOptions>();
    CLI::App* command = app.add_subcommand("migrate", "Move a running virtual machine and show how it goes");
    command->add_option("QMP_SOCKET", options->socket, "QMP socket of the virtual machine (of godwit or of QEMU)")
        ->required();
    command
        ->add_option("URI", options->uri,
                     "where to: tcp:HOST:PORT, rdma:HOST:PORT, unix:PATH, fd:N, exec:COMMAND or file:PATH")
        ->required();
    command->add_flag("--detach", options->detach, "only start the migration");
    command->add_flag("--block", options->block,
                      "move the disks too, in this migration; the destination has its own files");
    command->add_flag("--incremental", options->incremental,
                      "as --block, but only what the topmost layers of the disks hold; the destination has the rest");
    command
        ->add_option("--bandwidth", options->bandwidth_bytes_per_s,
                     "limit in bytes per second; suffixes K, M, G count in powers of 1024; 0 is no limit")
        ->transform(CLI::AsSizeValue(false));
    command->add_option("--downtime", options->downtime_ms, "longest stop of the guest that is accepted, in ms");
    command->add_option("--timeout", options->timeout_s, "cancel the migration after so many seconds")
        ->check(CLI::PositiveNumber);
    command
        ->add_option("--set", options->settings,
                     "NAME=VALUE, a parameter or capability of migrations, as listed below; may be repeated")
        ->allow_extra_args(false);
    command->footer(
        "Settings for --set (numbers take suffixes K, M, G; the others are on or off, or words):\n" + settings_help() +
        "\nCtrl-C cancels the migration; the guest then goes on where it was. A second Ctrl-C leaves at once.\n\n"
        "Exit status: 0 completed (with --detach: started), 1 failed, 2 wrong usage, 3 cancelled, 4 the QMP socket "
        "could\n"
        "not be reached or broke, 5 it is unknown which side owns the guest.\n\n"
        "Example:\n  godwit migrate /tmp/vm1.qmp tcp:192.0.2.7:4444 --bandwidth 500M --downtime 50\n"
        "  godwit migrate /tmp/vm1.qmp tcp:192.0.2.7:4444 --set auto-converge=on --set max-cpu-throttle=80\n"
        "  godwit migrate /tmp/vm1.qmp tcp:192.0.2.7:4444 --block --set zero-blocks=on");
    command->callback([options, &status] { status = migrate(*options); });
}

}  // namespace godwit
