#pragma once

#include <atomic>
#include <optional>
#include <string_view>

#include "godwit/error.h"
#include "godwit/machine_control.h"

namespace godwit {

/// Who may run the guest, as far as this side knows.
enum class Ownership {
    here,       ///< this machine has it
    unknown,    ///< a handover broke off where only the operator can tell
    elsewhere,  ///< a live peer runs it
};

/// The rules of a machine's run states: which request is allowed when, and what it leads to. It decides and remembers;
/// the caller starts and stops the virtual CPUs as it is told. All calls under the machine lock, except `state`.
class RunControl {
public:
    /// What the caller has to do about the virtual CPUs.
    enum class Action { none, start, stop };

    /// `run_after_load`: an incoming guest that ran at its source runs here, too.
    RunControl(RunState initial, bool run_after_load) : state_(initial), run_after_load_(run_after_load) {}

    /// Any thread, without the lock.
    RunState state() const { return state_; }
    Ownership ownership() const { return ownership_; }

    /// The first start of a machine that was just booted.
    Action power_on(bool paused);

    /// The operator wants the guest to run. `start`: the state has become `running`. While waiting for a migration it
    /// only takes back a `stop`: the source's state decides. Errors: `wrong_state`; `ownership_gone` and
    /// `handover_unknown` unless `force`, which takes the ownership.
    Result<Action> cont(bool force);

    /// Whether `cont` is possible. Errors: as `cont`.
    Status check_cont(bool force) const;

    /// The operator wants the guest to stop. After `stop` the caller stops the CPUs and then calls
    /// `set_stopped(paused)`. Errors: `wrong_state` during the switchover.
    Result<Action> stop();

    /// Whether the guest may be stopped for a switchover; then as `stop`, with `set_stopped(finish_migrate)` in any
    /// case. Errors: `guest_gone`, `ownership_gone`, `handover_unknown`, `vcpu`, `wrong_state`.
    Result<Action> check_switchover() const;

    /// The CPUs are stopped and the machine is now in `state`.
    void set_stopped(RunState state);

    /// Undoes `set_stopped(finish_migrate)`. Does nothing in another state (the guest may have ended in between).
    Action resume_after_failure(RunState before);
    void finish_migrated(bool owned_elsewhere);
    void set_ownership_unknown();

    /// Errors: `stream_corrupt` for a name that no machine could have sent, `unsupported` for a state that cannot be
    /// reproduced here.
    Status set_incoming(std::string_view name);
    /// The incoming guest is complete. Errors: `wrong_state` when none was awaited.
    Result<Action> start_after_load();
    /// The incoming guest is complete but cannot run now: one that ran stays paused.
    void stay_paused_after_load();

private:
    Status check_ownership() const;

    /// Written under the lock, read by anybody.
    std::atomic<RunState> state_;
    Ownership ownership_ = Ownership::here;
    bool run_after_load_;
    /// The state to go to after the load; the source's, or `running` from a source that says nothing.
    RunState incoming_ = RunState::running;
};

}  // namespace godwit
