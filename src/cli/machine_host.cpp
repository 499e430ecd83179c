#include "cli/machine_host.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string_view>
#include <utility>

#include "cli/exit_status.h"
#include "cli/machine_commands.h"
#include "cli/memory_faults.h"
#include "cli/subcommands.h"
#include "godwit/error_table.h"
#include "monitor/basic_commands.h"
#include "monitor/block_commands.h"
#include "monitor/control_commands.h"
#include "monitor/descriptor_commands.h"
#include "monitor/dirty_rate_commands.h"
#include "monitor/hmp_session.h"
#include "monitor/human_monitor_command.h"
#include "monitor/migration_commands.h"
#include "monitor/object_commands.h"
#include "monitor/older_migration_commands.h"
#include "monitor/qmp_session.h"
#include "tools/trace_format.h"

namespace godwit {

namespace {

/// So long those who follow a migration can see its end before the program ends by itself.
constexpr std::chrono::seconds last_words{1};

Json event_data(const MachineEvent& event) {
    const bool by_guest =
        event.reason == MachineEventReason::guest_shutdown || event.reason == MachineEventReason::guest_reset;
    switch (event.kind) {
        case MachineEvent::Kind::reset:
        case MachineEvent::Kind::shutdown:
            return {{"guest", by_guest}, {"reason", to_string(event.reason)}};
        default:
            return nullptr;
    }
}

}  // namespace

Result<std::unique_ptr<MachineHost>> MachineHost::create(const HostOptions& options, SignalWatch& signals, Log& log) {
    std::unique_ptr<MachineHost> host(new MachineHost(options, signals, log));
    if (auto status = host->prepare(); !status) {
        return fail(status.error());
    }
    return host;
}

MachineHost::~MachineHost() {
    // Clients hear no more; whoever waits for the end of the connection may look at the machine's files now.
    servers_.clear();
    terminal_.reset();
    if (signal_watch_) {
        loop_.unwatch(*signal_watch_);
    }
}

Status MachineHost::prepare() {
    auto disks = open_disks();
    if (!disks) {
        return fail(disks.error());
    }
    auto machine = VirtualMachine::create(options_.machine, loop_, clock_, log_, std::move(*disks));
    if (!machine) {
        return fail(machine.error());
    }
    machine_ = std::move(*machine);
    explain_memory_faults(machine_->memory().blocks());
    machine_->set_event_handler([this](const MachineEvent& event) { handle_event(event); });

    if (options_.trace) {
        auto trace = TraceFile::create(
            *options_.trace,
            {options_.incoming ? trace_format::destination : trace_format::source, options_.machine.name}, clock_,
            log_);
        if (!trace) {
            return fail(trace.error());
        }
        trace_ = std::move(*trace);
    }
    Environment environment{clock_,
                            waiter_,
                            loop_,
                            machine_->memory(),
                            *machine_,
                            log_,
                            machine_->devices(),
                            machine_->machine_type(),
                            machine_->dirty_source(),
                            machine_->disks()};
    Environment incoming = environment;
    incoming.devices = machine_->incoming_devices();
    const auto expected = options_.incoming ? MachineMigrations::Incoming::expected : MachineMigrations::Incoming::none;
    migrations_ = std::make_unique<MachineMigrations>(
        std::move(environment), std::move(incoming), descriptors_, tls_objects_, static_cast<EventSink&>(*this),
        expected, options_.sandbox, options_.steps,
        MachineMigrations::Callbacks{[this](MigrationState state) { outgoing_changed(state); },
                                     [this](MigrationState state) { incoming_changed(state); },
                                     [this] { return machine_->check_departure(); }},
        trace_.get());
    if (auto status = set_up_tls(); !status) {
        return status;
    }
    dirty_rate_ = std::make_unique<DirtyRateMeter>(clock_, waiter_, loop_, machine_->memory());
    add_commands();
    if (auto status = listen(); !status) {
        return status;
    }
    if (options_.monitor_stdio) {
        auto terminal = TerminalMonitor::start(STDIN_FILENO, STDOUT_FILENO, loop_, commands_);
        if (!terminal) {
            return fail(terminal.error());
        }
        terminal_ = std::move(*terminal);
    }
    signal_watch_ = loop_.watch(signals_.fd(), POLLIN, [this](short) { take_signal(); });
    return {};
}

Status MachineHost::set_up_tls() {
    for (const Json& object : options_.objects) {
        if (auto status = add_object(tls_objects_, object, log_); !status) {
            return status;
        }
    }
    const std::array changes{ParameterChange{find_parameter("tls-creds"), std::string_view(options_.tls_creds)},
                             ParameterChange{find_parameter("tls-authz"), std::string_view(options_.tls_authz)}};
    return migrations_->set(changes);
}

Status MachineHost::listen() {
    const auto add = [this](const std::string& path, MonitorProtocol protocol) -> Status {
        auto server = MonitorServer::listen(path, loop_, clock_, std::move(protocol), log_);
        if (!server) {
            return fail(server.error());
        }
        servers_.push_back(std::move(*server));
        return {};
    };
    for (const std::string& path : options_.qmp) {
        if (auto status = add(path, qmp_protocol(commands_)); !status) {
            return status;
        }
    }
    for (const std::string& path : options_.monitors) {
        if (auto status = add(path, hmp_protocol(commands_)); !status) {
            return status;
        }
    }
    return {};
}

void MachineHost::add_commands() {
    add_basic_commands(commands_, [this] { end(MachineEventReason::host_quit); });
    add_human_monitor_command(commands_);
    add_descriptor_commands(commands_, descriptors_);
    add_object_commands(commands_, tls_objects_, log_);
    add_migration_commands(commands_, *migrations_);
    add_older_migration_commands(commands_, *migrations_);
    add_control_commands(commands_, *migrations_);
    add_dirty_rate_commands(commands_, *dirty_rate_);
    add_block_commands(commands_, [this] { return block_entries(); });
    add_machine_commands(commands_, {options_.machine.name, [this] { return machine_->run_state(); },
                                     [this] { return machine_->stop(); }, [this](bool force) { return cont(force); }});
}

Status MachineHost::change_user() {
    if (!options_.run_as) {
        return {};
    }
    if (auto status = become(*options_.run_as); !status) {
        return status;
    }
    for (std::size_t i = 0; i < disks_.size(); ++i) {
        // The lock of an image is taken when the guest is to run: after a commit it would be too late to find that out.
        if (const Status openable = disks_[i]->check_openable(); !openable) {
            return fail(openable.error().code,
                        fmt::format("the user '{}' cannot take over the disk '{}': {}", options_.run_as->name,
                                    options_.disks[i].name, openable.error().message),
                        "give him the file (chown), and let him into its folders: it is opened anew each time the "
                        "guest comes here");
        }
    }
    return {};
}

Result<int> MachineHost::run() {
    // Before anything that comes from outside is looked at.
    if (auto status = change_user(); !status) {
        return fail(status.error());
    }
    if (options_.incoming && *options_.incoming != "defer") {
        if (auto status = migrations_->receive(*options_.incoming); !status) {
            return fail(status.error());
        }
        if (const auto address = migrations_->listening_address()) {
            log_.write(LogLevel::info, fmt::format("waiting for a migration at {}", *address));
        }
    }
    if (auto status = machine_->power_on(); !status) {
        return fail(status.error());
    }
    loop_.run();
    return exit_status_.value_or(exit_success);
}

void MachineHost::emit(std::string_view name, const Json& data) {
    for (const auto& server : servers_) {
        server->emit(name, data);
    }
}

Status MachineHost::cont(bool force) {
    auto status = machine_->cont(force);
    if (status && force) {
        migrations_->forget_handover();
    }
    return status;
}

void MachineHost::handle_event(const MachineEvent& event) {
    emit(to_string(event.kind), event_data(event));
    if (event.kind == MachineEvent::Kind::shutdown) {
        if (!event.message.empty()) {
            const Error error{ErrorCode::vcpu, event.message};
            print_error({error.code, error.message, advice_for(error)});
        }
        leave_loop(event.exit_status);
    }
}

void MachineHost::take_signal() {
    if (const auto signal = signals_.take()) {
        log_.write(LogLevel::info, fmt::format("{}: ending", signal_name(*signal)));
        terminal_.reset();  // a second signal ends the program at once, and the terminal must be as it was by then
        end(MachineEventReason::host_signal);
    }
}

void MachineHost::end(MachineEventReason reason) {
    if (ending_) {
        return;
    }
    ending_ = reason;
    if (migrations_->is_leaving()) {
        if (const Status cancelled = migrations_->cancel(); !cancelled) {
            log_.write(LogLevel::warning, cancelled.error().text());
        }
    }
    go_on_ending();
}

void MachineHost::leave_loop(int exit_status) {
    if (!exit_status_) {
        exit_status_ = exit_status;
    }
    end(MachineEventReason::none);
    go_on_ending();
}

void MachineHost::go_on_ending() {
    if (migrations_->is_leaving()) {
        return;  // its end comes back here
    }
    if (exit_status_) {
        loop_.quit();
    } else {
        // Answered by the event that the machine has shut down.
        machine_->request_shutdown(*ending_);
    }
}

void MachineHost::outgoing_changed(MigrationState state) {
    if (ending_) {
        return go_on_ending();
    }
    if (state == MigrationState::completed && options_.exit_after_migration) {
        log_.write(LogLevel::info, "the machine has moved: ending");
        loop_.call_at(clock_.now() + last_words, [this] { end(MachineEventReason::host_quit); });
    }
}

void MachineHost::incoming_changed(MigrationState state) {
    if (state == MigrationState::failed) {
        incoming_failed();
    }
}

void MachineHost::incoming_failed() {
    const Error error =
        migrations_->incoming_statistics().error.value_or(Error{ErrorCode::internal, "no reason was given"});
    if (ending_) {
        return;
    }
    print_error({error.code, "incoming migration failed: " + error.message, advice_for(error)});
    if (error.code == ErrorCode::handover_unknown) {
        log_.write(LogLevel::warning, "the guest is complete and stays paused here until the operator decides");
        return;
    }
    leave_loop(exit_failure);
}

}  // namespace godwit
