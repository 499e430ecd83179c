#pragma once

#include <atomic>
#include <mutex>
#include <span>
#include <vector>

#include "godwit/listener.h"
#include "godwit/migration_state.h"

namespace godwit {

struct Transition {
    MigrationState from;
    MigrationState to;
};

/// Every transition that exists; the source of `docs/architecture.md`.
std::span<const Transition> allowed_transitions();
bool is_allowed(MigrationState from, MigrationState to);

/// Ended, one way or another.
constexpr bool is_final(MigrationState state) {
    return state == MigrationState::completed || state == MigrationState::failed || state == MigrationState::cancelled;
}
/// Between `start` and the end.
constexpr bool is_running(MigrationState state) {
    return state != MigrationState::none && !is_final(state);
}

/// The state of one migration, and who is told about it. Any thread.
class StateMachine {
public:
    MigrationState get() const { return state_.load(); }

    /// The one way to change the state: if it is `from` it becomes `to`, listeners are told, and the result is true.
    /// Whoever gets false has lost against another thread, re-reads the state and decides anew. `refusal`, if given,
    /// takes the error that a listener returned.
    bool transition(MigrationState from, MigrationState to, Status* refusal = nullptr);

    void add(Listener& listener);
    void remove(Listener& listener);
    void pass_started(std::uint64_t pass);
    void convergence_changed(const Convergence& convergence);
    void handover_step(HandoverStep step);
    void bitmap_synced(const SyncReport& report);
    void window_closed(const WindowReport& report);
    void switchover_decided(const SwitchoverReport& report);
    void throttle_changed(std::uint32_t percent);

private:
    template <typename Call>
    void tell(Call call);

    std::atomic<MigrationState> state_{MigrationState::none};
    std::mutex mutex_;                  // serialises changes with their notifications
    std::vector<Listener*> listeners_;  // under mutex_
};

}  // namespace godwit
