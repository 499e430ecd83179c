#include "cli/machine_migrations.h"

#include <utility>

#include "migration/state_table.h"
#include "rdma/openers.h"
#include "tools/trace_format.h"

namespace godwit {

Status StateObserver::state_changed(MigrationState, MigrationState to) {
    executor_.post([this, to] { callback_(to); });
    return {};
}

MachineMigrations::MachineMigrations(Environment outgoing, Environment incoming, NamedDescriptors& descriptors,
                                     const TlsObjects& tls_objects, EventSink& events, Incoming expected,
                                     Sandbox sandbox, StepSignals steps, Callbacks callbacks, TraceFile* trace)
    : environment_(std::move(outgoing)),
      incoming_environment_(std::move(incoming)),
      descriptors_(descriptors),
      tls_objects_(tls_objects),
      incoming_expected_(expected),
      sandbox_(sandbox),
      events_(environment_.executor, events, [this] { return parameters().events; }),
      step_signal_(steps),
      trace_(trace),
      check_departure_(std::move(callbacks.check_departure)),
      outgoing_observer_(environment_.executor, std::move(callbacks.outgoing)),
      incoming_observer_(environment_.executor, std::move(callbacks.incoming)),
      outgoing_(environment_) {
    if (trace != nullptr) {
        outgoing_trace_.emplace(*trace, trace_format::source, [this] { return outgoing_.statistics(); });
        // First: a step at which the program is to be killed is in the trace.
        outgoing_.add_listener(*outgoing_trace_);
    }
    outgoing_.add_listener(events_);
    outgoing_.add_listener(step_signal_);
    outgoing_.add_listener(outgoing_observer_);
}

Status MachineMigrations::migrate(const MigrateRequest& request) {
    // What forbids a migration is said before anything about its address, and before a descriptor has been taken.
    if (is_leaving()) {
        return fail(ErrorCode::busy, "There's a migration process in progress", "wait for its end, or cancel it");
    }
    if (auto status = check_departure_(); !status) {
        return status;
    }
    if (auto status = request.options.check(parameters()); !status) {
        return status;
    }
    const auto address = parse_address(request.uri);
    if (!address) {
        return fail(address.error());
    }
    const auto tls = tls_objects_.terms(parameters(), Direction::outgoing);
    if (!tls) {
        return fail(tls.error());
    }
    auto opener = make_any_outgoing_opener(*address, descriptors_, environment_.clock, environment_.log, *tls);
    if (!opener) {
        return fail(opener.error());
    }
    return outgoing_.start(std::move(*opener), request.options);
}

void MachineMigrations::yank() {
    outgoing_.yank();
    if (incoming_) {
        incoming_->yank();
    }
}

Status MachineMigrations::receive(const std::string& uri) {
    if (incoming_expected_ == Incoming::none) {
        return fail(ErrorCode::wrong_state, "'-incoming' was not specified on the command line",
                    "start the program with --incoming defer");
    }
    if (incoming_) {
        return fail(ErrorCode::wrong_state, "The incoming migration has already been started");
    }
    const auto address = parse_address(uri);
    if (!address) {
        return fail(address.error());
    }
    const auto tls = tls_objects_.terms(parameters(), Direction::incoming);
    if (!tls) {
        return fail(tls.error());
    }
    auto endpoint = make_any_incoming_endpoint(*address, descriptors_, environment_.clock, environment_.log, *tls);
    if (!endpoint) {
        return fail(endpoint.error());
    }
    listening_address_ = endpoint->socket_address;
    Environment environment = incoming_environment_;
    environment.confine_incoming = [sandbox = sandbox_](Channel& channel) {
        return confine_loading_thread(sandbox, loading_way(channel));
    };
    incoming_ = std::make_unique<IncomingMigration>(std::move(environment), parameters());
    if (trace_ != nullptr) {
        incoming_trace_.emplace(*trace_, trace_format::destination,
                                [incoming = incoming_.get()] { return incoming->statistics(); });
        incoming_->add_listener(*incoming_trace_);
    }
    incoming_->add_listener(events_);
    incoming_->add_listener(step_signal_);
    incoming_->add_listener(incoming_observer_);
    return incoming_->start(std::move(endpoint->opener));
}

/// What a destination listens with is settled: who believes to have closed the door must not be told so.
Status MachineMigrations::check_tls_stays(std::span<const ParameterChange> changes) const {
    if (!is_arriving()) {
        return {};
    }
    const MigrationParameters before = parameters();
    MigrationParameters after = before;
    if (Status possible = set_parameters(after, changes); !possible) {
        return possible;
    }
    if (after.tls_creds == before.tls_creds && after.tls_authz == before.tls_authz &&
        after.tls_hostname == before.tls_hostname) {
        return {};
    }
    return fail(ErrorCode::busy,
                "tls-creds, tls-authz and tls-hostname cannot change while a machine is awaited or arrives",
                "set them before migrate-incoming");
}

bool MachineMigrations::is_arriving() const {
    return incoming_ && is_running(incoming_->state());
}

Status MachineMigrations::set(std::span<const ParameterChange> changes) {
    if (Status stays = check_tls_stays(changes); !stays) {
        return stays;
    }
    Status done = outgoing_.set(changes);
    if (done && incoming_) {
        incoming_->set_parameters(parameters());
    }
    return done;
}

bool MachineMigrations::is_leaving() const {
    return outgoing_.state() != MigrationState::none && !outgoing_.has_finished();
}

std::vector<std::string> MachineMigrations::blocked_reasons() const {
    if (environment_.dirty_source == nullptr) {
        return {"this machine cannot track written pages"};
    }
    const Status departure = check_departure_();
    // What belongs to a moment, like a switchover or the wait for an arrival, blocks nothing.
    if (departure || departure.error().code == ErrorCode::wrong_state) {
        return {};
    }
    return {departure.error().message};
}

MigrationStatistics MachineMigrations::incoming_statistics() const {
    return incoming_ ? incoming_->statistics() : MigrationStatistics();
}

MigrationStatistics MachineMigrations::statistics() const {
    return is_incoming() ? incoming_statistics() : outgoing_.statistics();
}

std::optional<std::string> MachineMigrations::listening_address() const {
    const bool listens = incoming_ && incoming_->state() == MigrationState::setup;
    return listens ? listening_address_ : std::nullopt;
}

}  // namespace godwit
