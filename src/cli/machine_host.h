#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/machine_migrations.h"
#include "cli/run_as.h"
#include "cli/sandbox.h"
#include "cli/signal_watch.h"
#include "cli/step_signal.h"
#include "cli/terminal_monitor.h"
#include "godwit/log.h"
#include "io/disk_spec.h"
#include "io/event_loop.h"
#include "io/monotonic_clock.h"
#include "io/named_descriptors.h"
#include "io/thread_waiter.h"
#include "io/tls_objects.h"
#include "machine/virtual_machine.h"
#include "monitor/block_commands.h"
#include "monitor/command_table.h"
#include "monitor/dirty_rate_meter.h"
#include "monitor/event_sink.h"
#include "monitor/json.h"
#include "monitor/monitor_server.h"
#include "tools/trace_file.h"

namespace godwit {

/// What `godwit run` is asked to do.
struct HostOptions {
    MachineOptions machine;
    /// In the order in which the guest sees them.
    std::vector<DiskSpec> disks;
    /// Paths of QMP sockets.
    std::vector<std::string> qmp;
    /// Paths of the human monitor's sockets.
    std::vector<std::string> monitors;
    /// A human monitor on the standard input and output.
    bool monitor_stdio = false;
    /// Where the machine comes from; "defer": migrate-incoming will tell.
    std::optional<std::string> incoming;
    /// A file for the story of all migrations.
    std::optional<std::string> trace;
    bool exit_after_migration = false;
    /// For the thread that loads an arriving machine.
    Sandbox sandbox = Sandbox::on;
    /// As whom the program goes on once the machine is made.
    std::optional<RunAs> run_as;
    StepSignals steps;
    /// The arguments of object-add, for each object that is there from the beginning.
    std::vector<Json> objects;
    /// The initial values of tls-creds and tls-authz, for an address in `incoming`.
    std::string tls_creds;
    std::string tls_authz;
};

/// A virtual machine with its monitor and its migrations, from the start to the end of the program. One thread.
class MachineHost : private EventSink {
public:
    /// Makes everything; nothing runs yet. The references outlive the host. Errors: those of the machine and of the
    /// socket.
    static Result<std::unique_ptr<MachineHost>> create(const HostOptions& options, SignalWatch& signals, Log& log);
    ~MachineHost() override;
    MachineHost(const MachineHost&) = delete;
    MachineHost& operator=(const MachineHost&) = delete;

    /// Runs the machine until it ends, and returns the program's exit status. Errors: the machine, or the migration in
    /// which it was to arrive, could not be started.
    Result<int> run();

private:
    MachineHost(const HostOptions& options, SignalWatch& signals, Log& log)
        : options_(options), signals_(signals), log_(log) {}
    Status prepare();
    Result<std::vector<MachineDisk>> open_disks();
    std::vector<BlockEntry> block_entries() const;
    Status set_up_tls();
    void add_commands();
    Status listen();
    Status change_user();
    void emit(std::string_view name, const Json& data) override;

    void handle_event(const MachineEvent& event);
    void outgoing_changed(MigrationState state);
    void incoming_changed(MigrationState state);
    void incoming_failed();
    void take_signal();
    Status cont(bool force);

    /// Begins the orderly end: a migration that is on its way out is cancelled, or finished when it is too late for
    /// that.
    void end(MachineEventReason reason);
    void leave_loop(int exit_status);
    void go_on_ending();

    const HostOptions options_;
    SignalWatch& signals_;
    Log& log_;
    EventLoop loop_;
    MonotonicClock clock_;
    ThreadWaiter waiter_;
    NamedDescriptors descriptors_;
    TlsObjects tls_objects_;
    /// Outlive the machine.
    std::vector<std::unique_ptr<HostBlockDevice>> disks_;
    std::unique_ptr<VirtualMachine> machine_;
    std::unique_ptr<TraceFile> trace_;
    std::unique_ptr<MachineMigrations> migrations_;
    std::unique_ptr<DirtyRateMeter> dirty_rate_;
    CommandTable commands_;
    std::vector<std::unique_ptr<MonitorServer>> servers_;
    std::unique_ptr<TerminalMonitor> terminal_;
    std::optional<int> signal_watch_;

    /// Why the end was asked for.
    std::optional<MachineEventReason> ending_;
    /// The machine has ended; only a migration on its way out is still waited for.
    std::optional<int> exit_status_;
};

}  // namespace godwit
