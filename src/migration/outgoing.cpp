#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "godwit/migration.h"
#include "migration/outgoing_session.h"
#include "migration/state_table.h"

namespace godwit {

namespace {

constexpr const char* busy_hint = "wait for its end, or cancel it";

}  // namespace

class Migration::Impl : public ParameterSource, public std::enable_shared_from_this<Migration::Impl> {
public:
    explicit Impl(Environment environment) : environment_(std::move(environment)) {}

    Status start(std::unique_ptr<ChannelOpener> opener, const StartOptions& options);
    Status cancel();
    Status continue_switchover();
    void yank() {
        if (const std::shared_ptr<OutgoingSession> running = session()) {
            running->yank();
        }
    }
    void stop();
    MigrationStatistics statistics() const;
    Status set(std::span<const ParameterChange> changes);
    /// For the session, whatever the state.
    MigrationParameters current_parameters() const override {
        const std::lock_guard lock(mutex_);
        MigrationParameters parameters = parameters_;
        options_.apply(parameters);
        return parameters;
    }
    /// For everybody else: options end with their attempt.
    MigrationParameters shown_parameters() const {
        const std::lock_guard lock(mutex_);
        MigrationParameters parameters = parameters_;
        if (is_running(states.get())) {
            options_.apply(parameters);
        }
        return parameters;
    }
    void forget_handover() {
        if (!is_running(states.get())) {
            retire_session();  // later it would bring back what is forgotten here
        }
        const std::lock_guard lock(mutex_);
        ownership_lost_.reset();
    }

    StateMachine states;

private:
    Status may_start();
    void clean_up();
    /// Ends the session's thread and keeps its figures. Main loop's thread.
    void retire_session();
    std::shared_ptr<OutgoingSession> session() const {
        const std::lock_guard lock(mutex_);
        return session_;
    }

    const Environment environment_;
    mutable std::mutex mutex_;
    MigrationParameters parameters_;            // under mutex_
    StartOptions options_;                      // under mutex_: of the attempt that began last
    std::shared_ptr<OutgoingSession> session_;  // under mutex_; replaced by the main loop's thread only
    MigrationStatistics last_;                  // under mutex_: figures of the attempt that has ended
    std::optional<Error> ownership_lost_;       // under mutex_: why the guest may not be migrated any more
};

Status Migration::Impl::may_start() {
    if (environment_.dirty_source == nullptr) {
        return fail(ErrorCode::unsupported, "this machine cannot track written pages, so it cannot be migrated");
    }
    if (is_running(states.get())) {
        return fail(ErrorCode::busy, "There's a migration process in progress", busy_hint);
    }
    retire_session();  // its end may not have been handled yet; who owns the guest is known after it
    RunState run_state;
    {
        const MachineLock lock(environment_.machine);
        run_state = environment_.machine.run_state();
    }
    if (run_state == RunState::inmigrate) {
        return fail(ErrorCode::wrong_state, "Guest is waiting for an incoming migration");
    }
    const std::lock_guard lock(mutex_);
    if (ownership_lost_) {
        return fail(*ownership_lost_);
    }
    return {};
}

Status Migration::Impl::start(std::unique_ptr<ChannelOpener> opener, const StartOptions& options) {
    if (Status allowed = may_start(); !allowed) {
        return allowed;
    }
    {
        const std::lock_guard lock(mutex_);
        if (Status fits = options.check(parameters_); !fits) {
            return fits;
        }
        options_ = options;
    }
    auto session = std::make_shared<OutgoingSession>(environment_, states, *this, std::move(opener));
    {
        const std::lock_guard lock(mutex_);
        session_ = session;
        last_ = MigrationStatistics{};
    }
    Status refusal;
    const MigrationState from = states.get();
    if (!states.transition(from, MigrationState::setup, &refusal)) {
        return fail(ErrorCode::busy, "There's a migration process in progress", busy_hint);
    }
    if (!refusal) {
        session->refuse(Error{ErrorCode::listener_refused, refusal.error().message, refusal.error().hint});
        clean_up();
        return fail(ErrorCode::listener_refused, refusal.error().message, refusal.error().hint);
    }
    return session->start([weak = weak_from_this()] {
        if (const std::shared_ptr<Impl> self = weak.lock()) {
            self->clean_up();
        }
    });
}

void Migration::Impl::clean_up() {
    if (const MigrationState state = states.get(); is_running(state) && state != MigrationState::cancelling) {
        return;  // a later attempt is running: its predecessor was retired when it started
    }
    retire_session();
    states.transition(MigrationState::cancelling, MigrationState::cancelled);
}

void Migration::Impl::retire_session() {
    const std::shared_ptr<OutgoingSession> session = this->session();
    if (!session) {
        return;
    }
    session->join();
    const std::lock_guard lock(mutex_);
    session->fill_statistics(last_);
    ownership_lost_ = session->ownership_lost();
    session_.reset();
}

Status Migration::Impl::cancel() {
    const std::shared_ptr<OutgoingSession> before = session();
    for (;;) {
        const MigrationState state = states.get();
        if (state == MigrationState::handing_over) {
            return fail(ErrorCode::too_late,
                        "the guest is being handed over; the migration cannot be cancelled any more",
                        "the handover ends by itself within its deadline");
        }
        if (!is_running(state) || state == MigrationState::cancelling) {
            return {};
        }
        if (states.transition(state, MigrationState::cancelling)) {
            break;
        }
    }
    if (before) {
        before->interrupt();
    }
    // By now another attempt may run: it is interrupted only if it is the one whose state has been changed.
    if (const std::shared_ptr<OutgoingSession> after = session();
        after && after != before && states.get() == MigrationState::cancelling) {
        after->interrupt();
    }
    return {};
}

Status Migration::Impl::continue_switchover() {
    if (!states.transition(MigrationState::pre_switchover, MigrationState::device)) {
        return fail(ErrorCode::wrong_state,
                    fmt::format("Migration not in expected state: {}", to_string(states.get())));
    }
    if (const std::shared_ptr<OutgoingSession> running = session()) {
        running->wake();
    }
    return {};
}

void Migration::Impl::stop() {
    // After the commit the thread ends by itself within its deadlines.
    static_cast<void>(cancel());
    retire_session();
    states.transition(MigrationState::cancelling, MigrationState::cancelled);
}

MigrationStatistics Migration::Impl::statistics() const {
    std::shared_ptr<OutgoingSession> running;
    MigrationStatistics statistics;
    {
        const std::lock_guard lock(mutex_);
        running = session_;
        statistics = last_;
    }
    // The state is read first: figures may be newer than the state, never older.
    statistics.state = states.get();
    if (running) {
        running->fill_statistics(statistics);
    }
    return statistics;
}

Status Migration::Impl::set(std::span<const ParameterChange> changes) {
    const std::lock_guard lock(mutex_);
    const auto is_fixed = [](const ParameterChange& change) { return !change.info->while_running; };
    if (is_running(states.get()) && std::any_of(changes.begin(), changes.end(), is_fixed)) {
        return fail(ErrorCode::busy, "There's a migration process in progress", busy_hint);
    }
    if (Status fits = set_parameters(parameters_, changes); !fits) {
        return fits;
    }
    if (session_) {
        session_->wake();
    }
    return {};
}

Status StartOptions::check(const MigrationParameters& parameters) const {
    if (any() && (parameters.block || parameters.block_incremental)) {
        return fail(ErrorCode::invalid_argument, "Command options are incompatible with current migration capabilities",
                    "switch the capability block and the parameter block-incremental off, or leave the options out");
    }
    return {};
}

void StartOptions::apply(MigrationParameters& parameters) const {
    parameters.block = parameters.block || any();
    parameters.block_incremental = parameters.block_incremental || incremental;
}

Migration::Migration(Environment environment) : impl_(std::make_shared<Impl>(std::move(environment))) {}
Migration::~Migration() {
    impl_->stop();
}

Status Migration::start(std::unique_ptr<ChannelOpener> opener, const StartOptions& options) {
    return impl_->start(std::move(opener), options);
}
Status Migration::cancel() {
    return impl_->cancel();
}
Status Migration::continue_switchover() {
    return impl_->continue_switchover();
}
void Migration::yank() {
    impl_->yank();
}
MigrationState Migration::state() const {
    return impl_->states.get();
}
bool Migration::in_setup() const {
    return state() == MigrationState::setup;
}
bool Migration::is_active() const {
    const MigrationState now = state();
    return is_running(now) && now != MigrationState::setup && now != MigrationState::cancelling;
}
bool Migration::has_finished() const {
    return is_final(state());
}
bool Migration::has_failed() const {
    return state() == MigrationState::failed;
}
MigrationStatistics Migration::statistics() const {
    return impl_->statistics();
}
MigrationParameters Migration::parameters() const {
    return impl_->shown_parameters();
}
Status Migration::set(std::span<const ParameterChange> changes) {
    return impl_->set(changes);
}
Status Migration::set(const ParameterInfo& info, const ParameterValue& value) {
    const ParameterChange change{&info, value};
    return impl_->set({&change, 1});
}
void Migration::add_listener(Listener& listener) {
    impl_->states.add(listener);
}
void Migration::remove_listener(Listener& listener) {
    impl_->states.remove(listener);
}
void Migration::forget_handover() {
    impl_->forget_handover();
}

}  // namespace godwit
