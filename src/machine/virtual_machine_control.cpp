// What a migration does to the machine. Every function here but `set_cpu_throttle` is called with the machine lock
// held.

#include <fmt/format.h>

#include "machine/virtual_machine.h"

namespace godwit {

Status VirtualMachine::stop_for_switchover() {
    const auto action = run_.check_switchover();
    if (!action) {
        return fail(action.error());
    }
    if (*action == RunControl::Action::none) {
        run_.set_stopped(RunState::finish_migrate);
        return {};
    }
    if (auto status = stop_guest(RunState::finish_migrate); !status) {
        return status;
    }
    // The guest may have ended in the last moment before it stopped.
    switch (run_.state()) {
        case RunState::finish_migrate:
            return {};
        case RunState::internal_error:
            return fail(ErrorCode::vcpu, failure_);
        default:
            return fail(ErrorCode::guest_gone, "the guest powered itself off before it could be handed over");
    }
}

bool VirtualMachine::is_quiet() {
    if (microvm_ && microvm_->is_quiet()) {
        reset_guest();
    }
    // A guest whose reset has failed cannot move: it never becomes quiet.
    return !microvm_ || (microvm_->is_quiet() && reset_ == Reset::none);
}

Status VirtualMachine::resume_after_failure(RunState before) {
    if (Status locked = lock_disks(); !locked) {
        // Complete, but it may not touch its disks.
        run_.resume_after_failure(before == RunState::running ? RunState::paused : before);
        return locked;
    }
    if (run_.resume_after_failure(before) == RunControl::Action::start) {
        run_guest();
    }
    return {};
}

bool VirtualMachine::set_cpu_throttle(unsigned percent) {
    if (!microvm_) {
        return false;
    }
    microvm_->vcpus().throttle(percent);
    return true;
}

Status VirtualMachine::release_disks() {
    unlock_disks();
    return {};
}

Status VirtualMachine::start_after_load() {
    memory_->mark_used(0);
    if (Status locked = lock_disks(); !locked) {
        run_.stay_paused_after_load();
        return locked;
    }
    const auto action = run_.start_after_load();
    if (!action) {
        return fail(action.error());
    }
    if (*action == RunControl::Action::start) {
        run_guest();
    }
    return {};
}

}  // namespace godwit
