#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cli/sandbox.h"
#include "cli/step_signal.h"
#include "godwit/environment.h"
#include "godwit/listener.h"
#include "godwit/migration.h"
#include "io/named_descriptors.h"
#include "io/tls_objects.h"
#include "monitor/event_sink.h"
#include "monitor/migration_events.h"
#include "monitor/migration_service.h"
#include "tools/trace_writer.h"

namespace godwit {

/// Tells on the event loop's thread which states a migration comes to.
class StateObserver : public Listener {
public:
    using Callback = std::function<void(MigrationState)>;
    StateObserver(Executor& executor, Callback callback) : executor_(executor), callback_(std::move(callback)) {}
    Status state_changed(MigrationState from, MigrationState to) override;

private:
    Executor& executor_;
    Callback callback_;
};

/// All migrations of one machine: the one in which it may arrive, and those in which it is to leave. Event loop's
/// thread.
class MachineMigrations : public MigrationService {
public:
    struct Callbacks {
        StateObserver::Callback outgoing;
        StateObserver::Callback incoming;
        /// Says what forbids the machine to leave; asked before anything else is done.
        std::function<Status()> check_departure;
    };
    /// Whether a machine is awaited, and whether its address comes later with migrate-incoming.
    enum class Incoming { none, expected };

    /// `outgoing` and `incoming` differ in their devices only: an incoming machine may bring more. `trace`, if not
    /// null, is told everything, and outlives this. `sandbox` is for the thread that loads an incoming machine.
    MachineMigrations(Environment outgoing, Environment incoming, NamedDescriptors& descriptors,
                      const TlsObjects& tls_objects, EventSink& events, Incoming expected, Sandbox sandbox,
                      StepSignals steps, Callbacks callbacks, TraceFile* trace = nullptr);

    Status migrate(const MigrateRequest& request) override;
    Status cancel() override { return outgoing_.cancel(); }
    void yank() override;
    Status receive(const std::string& uri) override;
    MigrationStatistics statistics() const override;
    bool is_incoming() const override { return incoming_ && outgoing_.state() == MigrationState::none; }
    std::optional<std::string> listening_address() const override;
    MigrationParameters parameters() const override { return outgoing_.parameters(); }
    std::vector<std::string> blocked_reasons() const override;
    Status continue_switchover() override { return outgoing_.continue_switchover(); }
    /// Errors: also `busy` for a change of what an incoming migration that has begun and not ended is protected with.
    Status set(std::span<const ParameterChange> changes) override;

    /// An outgoing migration has begun and not ended.
    bool is_leaving() const;
    /// Figures of the migration in which the machine arrived, or is to arrive.
    MigrationStatistics incoming_statistics() const;
    void forget_handover() { outgoing_.forget_handover(); }

private:
    /// An incoming migration has begun and not ended.
    bool is_arriving() const;
    /// Errors: `busy`.
    Status check_tls_stays(std::span<const ParameterChange> changes) const;

    const Environment environment_;
    const Environment incoming_environment_;
    NamedDescriptors& descriptors_;
    const TlsObjects& tls_objects_;
    const Incoming incoming_expected_;
    const Sandbox sandbox_;
    MigrationEvents events_;
    StepSignal step_signal_;
    TraceFile* const trace_;
    std::optional<TraceWriter> outgoing_trace_;
    std::optional<TraceWriter> incoming_trace_;
    const std::function<Status()> check_departure_;
    StateObserver outgoing_observer_;
    StateObserver incoming_observer_;
    Migration outgoing_;
    /// Null until an address is known.
    std::unique_ptr<IncomingMigration> incoming_;
    std::optional<std::string> listening_address_;
};

}  // namespace godwit
