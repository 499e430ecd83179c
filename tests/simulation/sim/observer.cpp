#include "sim/observer.h"

namespace godwit::sim {

Status Observer::state_changed(MigrationState from, MigrationState to) {
    world_.trace("{}: {} -> {}", name_, to_string(from),
                 to == MigrationState::handing_over ? "handing-over" : to_string(to));
    if (from != state_) {
        world_.violation(fmt::format("{}: a transition from {} was announced after one to {}", name_, to_string(from),
                                     to_string(state_)));
    }
    if (finished() && to != MigrationState::setup) {
        world_.violation(fmt::format("{}: {} after the end ({})", name_, to_string(to), to_string(state_)));
    }
    state_ = to;
    ++changes_;
    if (to == MigrationState::setup) {
        steps_.clear();
        passes_ = 0;
        setup_at_ = world_.now();
        finished_at_ = forever;
    }
    if (finished()) {
        finished_at_ = world_.now();
        progress_before_end_ = world_.last_progress();
    }
    world_.scheduler().wake_all(changed);
    if (on_state) {
        on_state(to);
    }
    world_.scheduler().maybe_preempt();
    if (to == MigrationState::setup && refuse_setup) {
        return fail(ErrorCode::listener_refused, "simulated: a listener objects");
    }
    return {};
}

void Observer::start_anew() {
    state_ = MigrationState::none;
    steps_.clear();
    passes_ = 0;
    finished_at_ = forever;
}

void Observer::pass_started(std::uint64_t pass) {
    world_.trace("{}: pass {}", name_, pass);
    if (pass != passes_ + 1) {
        world_.violation(fmt::format("{}: pass {} after pass {}", name_, pass, passes_));
    }
    passes_ = pass;
    if (on_pass) {
        on_pass(pass);
    }
    world_.scheduler().maybe_preempt();
}

void Observer::handover_step(HandoverStep step) {
    world_.trace("{}: handover step {}", name_, to_string(step));
    if (!steps_.empty() && *steps_.rbegin() >= step) {
        world_.violation(fmt::format("{}: handover step {} comes too late", name_, to_string(step)));
    }
    steps_.insert(step);
    world_.scheduler().wake_all(changed);
    if (on_step) {
        on_step(step);
    }
    world_.scheduler().maybe_preempt();
}

}  // namespace godwit::sim
