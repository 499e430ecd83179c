#pragma once

#include <cstdint>

#include "godwit/error.h"
#include "godwit/migration_state.h"
#include "godwit/statistics.h"
#include "godwit/trace_events.h"

namespace godwit {

/// Hears what happens in a migration. Calls come one at a time, in order, from the thread that caused the change (the
/// migration's own or the caller's); a listener must return soon. Inside a call only state and statistics may be asked
/// for: starting, cancelling, adding and removing listeners are for the main loop (`Executor::post`).
class Listener {
public:
    virtual ~Listener() = default;
    /// A transition has been made. `setup` is announced before any thread has been started and before anything was
    /// sent; an error returned for it ends the migration as `failed`. Errors returned for other states are ignored.
    virtual Status state_changed(MigrationState from, MigrationState to) {
        (void)from;
        (void)to;
        return {};
    }
    /// A pass over memory begins; passes count from 1.
    virtual void pass_started(std::uint64_t pass) { (void)pass; }
    /// The verdict on whether the migration comes to its end has changed.
    virtual void convergence_changed(const Convergence& convergence) { (void)convergence; }
    /// A step of the handover has been reached.
    virtual void handover_step(HandoverStep step) { (void)step; }
    /// Source: the written pages have been collected while the guest runs.
    virtual void bitmap_synced(const SyncReport& report) { (void)report; }
    /// Source: a window of measurement has ended.
    virtual void window_closed(const WindowReport& report) { (void)report; }
    /// Source: it has been decided whether the guest is stopped now.
    virtual void switchover_decided(const SwitchoverReport& report) { (void)report; }
    /// Source: the guest's virtual CPUs are slowed down by this much from now on; 0 ends it.
    virtual void throttle_changed(std::uint32_t percent) { (void)percent; }
};

}  // namespace godwit
