#include "migration/state_table.h"

#include <algorithm>
#include <array>

#include "base/assert.h"

namespace godwit {
namespace {

using enum MigrationState;

// clang-format off
constexpr std::array<Transition, 20> transitions{{
    {none, setup},
    {completed, setup},  // after a save to a file, or a takeover by force
    {failed, setup},
    {cancelled, setup},
    {setup, active},
    {setup, failed},
    {setup, cancelling},
    {active, pre_switchover},
    {active, handing_over},
    {active, failed},
    {active, cancelling},
    {pre_switchover, device},
    {pre_switchover, failed},
    {pre_switchover, cancelling},
    {device, handing_over},
    {device, failed},
    {device, cancelling},
    {handing_over, completed},
    {handing_over, failed},
    {cancelling, cancelled},
}};
// clang-format on

}  // namespace

std::span<const Transition> allowed_transitions() {
    return transitions;
}

bool is_allowed(MigrationState from, MigrationState to) {
    return std::any_of(transitions.begin(), transitions.end(),
                       [&](const Transition& t) { return t.from == from && t.to == to; });
}

bool StateMachine::transition(MigrationState from, MigrationState to, Status* refusal) {
    GODWIT_ASSERT(is_allowed(from, to), "no transition from {} to {}; see allowed_transitions", to_string(from),
                  to_string(to));
    const std::lock_guard lock(mutex_);
    MigrationState expected = from;
    if (!state_.compare_exchange_strong(expected, to)) {
        return false;
    }
    for (Listener* listener : listeners_) {
        Status answer = listener->state_changed(from, to);
        if (!answer && refusal != nullptr && *refusal) {
            *refusal = std::move(answer);
        }
    }
    return true;
}

void StateMachine::add(Listener& listener) {
    const std::lock_guard lock(mutex_);
    listeners_.push_back(&listener);
}

void StateMachine::remove(Listener& listener) {
    const std::lock_guard lock(mutex_);
    std::erase(listeners_, &listener);
}

template <typename Call>
void StateMachine::tell(Call call) {
    const std::lock_guard lock(mutex_);
    for (Listener* listener : listeners_) {
        call(*listener);
    }
}

void StateMachine::convergence_changed(const Convergence& convergence) {
    tell([&](Listener& listener) { listener.convergence_changed(convergence); });
}

void StateMachine::pass_started(std::uint64_t pass) {
    tell([pass](Listener& listener) { listener.pass_started(pass); });
}

void StateMachine::handover_step(HandoverStep step) {
    tell([step](Listener& listener) { listener.handover_step(step); });
}

void StateMachine::bitmap_synced(const SyncReport& report) {
    tell([&report](Listener& listener) { listener.bitmap_synced(report); });
}

void StateMachine::window_closed(const WindowReport& report) {
    tell([&report](Listener& listener) { listener.window_closed(report); });
}

void StateMachine::switchover_decided(const SwitchoverReport& report) {
    tell([&report](Listener& listener) { listener.switchover_decided(report); });
}

void StateMachine::throttle_changed(std::uint32_t percent) {
    tell([percent](Listener& listener) { listener.throttle_changed(percent); });
}

}  // namespace godwit
