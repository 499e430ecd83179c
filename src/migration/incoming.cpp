#include <mutex>

#include "godwit/migration.h"
#include "migration/incoming_session.h"
#include "migration/state_table.h"

namespace godwit {

class IncomingMigration::Impl : public ParameterSource, public std::enable_shared_from_this<IncomingMigration::Impl> {
public:
    Impl(Environment environment, const MigrationParameters& parameters)
        : environment_(std::move(environment)), parameters_(parameters) {}

    Status start(std::unique_ptr<ChannelOpener> opener);
    Status cancel();
    void yank() {
        if (IncomingSession* running = session()) {
            running->yank();
        }
    }
    void stop();
    void set_parameters(const MigrationParameters& parameters) {
        const std::lock_guard lock(mutex_);
        parameters_ = parameters;
    }
    MigrationParameters current_parameters() const override {
        const std::lock_guard lock(mutex_);
        return parameters_;
    }
    MigrationStatistics statistics() const;

    StateMachine states;

private:
    void clean_up();
    IncomingSession* session() const {
        const std::lock_guard lock(mutex_);
        return session_.get();
    }

    const Environment environment_;
    mutable std::mutex mutex_;
    MigrationParameters parameters_;            // under mutex_
    std::unique_ptr<IncomingSession> session_;  // set once, under mutex_
};

Status IncomingMigration::Impl::start(std::unique_ptr<ChannelOpener> opener) {
    if (session() != nullptr) {
        return fail(ErrorCode::busy, "The incoming migration has already been started");
    }
    {
        const std::lock_guard lock(mutex_);
        session_ = std::make_unique<IncomingSession>(environment_, states, *this, std::move(opener));
    }
    Status refusal;
    if (!states.transition(MigrationState::none, MigrationState::setup, &refusal) || !refusal) {
        const Error error{ErrorCode::listener_refused,
                          refusal ? "the incoming migration cannot start" : refusal.error().message};
        session_->refuse(error);
        clean_up();
        return fail(error);
    }
    return session_->start([weak = weak_from_this()] {
        if (const std::shared_ptr<Impl> self = weak.lock()) {
            self->clean_up();
        }
    });
}

void IncomingMigration::Impl::clean_up() {
    session()->finish();
    states.transition(MigrationState::cancelling, MigrationState::cancelled);
}

Status IncomingMigration::Impl::cancel() {
    for (;;) {
        const MigrationState state = states.get();
        if (state == MigrationState::handing_over || state == MigrationState::completed) {
            return fail(ErrorCode::too_late, "the guest has arrived, or may have: the source may have let go of it");
        }
        if (state != MigrationState::setup && state != MigrationState::active) {
            return {};
        }
        if (states.transition(state, MigrationState::cancelling)) {
            break;
        }
    }
    session()->interrupt();
    return {};
}

void IncomingMigration::Impl::stop() {
    IncomingSession* running = session();
    if (running == nullptr) {
        return;
    }
    if (!cancel()) {
        running->interrupt();  // the program ends: waiting for a commit makes no sense any more
    }
    running->finish();
    states.transition(MigrationState::cancelling, MigrationState::cancelled);
}

MigrationStatistics IncomingMigration::Impl::statistics() const {
    MigrationStatistics statistics;
    statistics.state = states.get();
    if (const IncomingSession* running = session()) {
        running->fill_statistics(statistics);
    }
    return statistics;
}

IncomingMigration::IncomingMigration(Environment environment, const MigrationParameters& parameters)
    : impl_(std::make_shared<Impl>(std::move(environment), parameters)) {}
IncomingMigration::~IncomingMigration() {
    impl_->stop();
}

Status IncomingMigration::start(std::unique_ptr<ChannelOpener> opener) {
    return impl_->start(std::move(opener));
}
Status IncomingMigration::cancel() {
    return impl_->cancel();
}
void IncomingMigration::yank() {
    impl_->yank();
}
void IncomingMigration::set_parameters(const MigrationParameters& parameters) {
    impl_->set_parameters(parameters);
}
MigrationState IncomingMigration::state() const {
    return impl_->states.get();
}
MigrationStatistics IncomingMigration::statistics() const {
    return impl_->statistics();
}
void IncomingMigration::add_listener(Listener& listener) {
    impl_->states.add(listener);
}
void IncomingMigration::remove_listener(Listener& listener) {
    impl_->states.remove(listener);
}

}  // namespace godwit
