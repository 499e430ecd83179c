#include "migration/state_table.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <thread>

namespace godwit {
namespace {

/// Hears the changes and insists that each begins where the one before it ended.
class ChainListener : public Listener {
public:
    Status state_changed(MigrationState from, MigrationState to) override {
        contiguous_ = contiguous_ && from == last_ && is_allowed(from, to);
        last_ = to;
        ++changes_;
        return {};
    }
    bool contiguous() const { return contiguous_; }
    MigrationState last() const { return last_; }
    std::size_t changes() const { return changes_; }

private:
    // Written under the state machine's lock, read after the threads have been joined.
    MigrationState last_ = MigrationState::none;
    bool contiguous_ = true;
    std::size_t changes_ = 0;
};

rc::Gen<Transition> any_transition() {
    const std::span<const Transition> all = allowed_transitions();
    return rc::gen::map(rc::gen::inRange<std::size_t>(0, all.size()), [all](std::size_t i) { return all[i]; });
}

using Attempts = std::vector<Transition>;

Attempts any_attempts() {
    return *rc::gen::container<Attempts>(any_transition());
}

std::set<MigrationState> reachable_from(MigrationState from) {
    std::set<MigrationState> reached{from};
    for (std::size_t before = 0; before != reached.size();) {
        before = reached.size();
        for (const Transition& t : allowed_transitions()) {
            if (reached.contains(t.from)) {
                reached.insert(t.to);
            }
        }
    }
    return reached;
}

RC_GTEST_PROP(StateTableProperty, AnAttemptSucceedsExactlyWhenTheStateIsWhereItBegins, ()) {
    StateMachine states;
    ChainListener listener;
    states.add(listener);
    MigrationState model = MigrationState::none;
    std::size_t changes = 0;
    for (const Transition& attempt : any_attempts()) {
        const bool expected = attempt.from == model;
        RC_ASSERT(states.transition(attempt.from, attempt.to) == expected);
        model = expected ? attempt.to : model;
        changes += expected ? 1U : 0U;
        RC_ASSERT(states.get() == model);
    }
    RC_ASSERT(listener.contiguous());
    RC_ASSERT(listener.changes() == changes);
    RC_ASSERT(is_final(model) + is_running(model) + (model == MigrationState::none) == 1);
}

RC_GTEST_PROP(StateTableProperty, ThreadsThatRaceMakeOneChain, ()) {
    StateMachine states;
    ChainListener listener;
    states.add(listener);
    const Attempts mine = any_attempts();
    const Attempts others = any_attempts();
    std::size_t made_by_other = 0;
    std::thread other([&] {
        for (const Transition& attempt : others) {
            made_by_other += states.transition(attempt.from, attempt.to) ? 1U : 0U;
        }
    });
    std::size_t made = 0;
    for (const Transition& attempt : mine) {
        made += states.transition(attempt.from, attempt.to) ? 1U : 0U;
    }
    other.join();
    RC_ASSERT(listener.contiguous());
    RC_ASSERT(listener.changes() == made + made_by_other);
    RC_ASSERT(listener.last() == states.get());
}

RC_GTEST_PROP(StateTableProperty, EveryRunCanEndAndTheHandoverCannotBeCancelled, ()) {
    const Transition transition = *any_transition();
    const std::set<MigrationState> ends = reachable_from(transition.to);
    RC_ASSERT(std::any_of(ends.begin(), ends.end(), is_final));
    RC_ASSERT(!is_allowed(MigrationState::handing_over, MigrationState::cancelling));
    RC_ASSERT(!is_allowed(transition.to, transition.to));
    // Nothing becomes completed but by the handover, and nothing leaves an end but by a new start.
    RC_ASSERT(transition.to != MigrationState::completed || transition.from == MigrationState::handing_over);
    RC_ASSERT(!is_final(transition.from) || transition.to == MigrationState::setup);
}

}  // namespace
}  // namespace godwit
