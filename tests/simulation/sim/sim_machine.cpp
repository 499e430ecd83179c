#include "sim/sim_machine.h"

#include <utility>

namespace godwit::sim {

void Ownership::check() {
    std::string running;
    std::string able;
    int runners = 0;
    int candidates = 0;
    if (copied) {
        return;
    }
    for (const SimMachine* machine : machines) {
        if (machine->guest_runs()) {
            ++runners;
            running += " " + machine->name();
        }
        if (machine->may_run()) {
            ++candidates;
            able += " " + machine->name();
        }
    }
    if (candidates > 1 && residue_possible) {
        documented_residue = true;
        return;
    }
    if (runners > 1) {
        world.violation(fmt::format("the guest runs twice, on{}", running));
    } else if (candidates > 1) {
        world.violation(fmt::format("two machines may run the guest without being forced:{}", able));
    }
}

bool Ownership::take_disks(const SimMachine& machine) {
    if (copied || residue_possible) {
        return true;
    }
    if (disk_holder != nullptr && disk_holder != &machine) {
        world.violation(fmt::format("{} needs the disks while {} holds them", machine.name(), disk_holder->name()));
        return false;
    }
    disk_holder = &machine;
    return true;
}

void Ownership::release_disks(const SimMachine& machine) {
    if (disk_holder == &machine) {
        disk_holder = nullptr;
    }
}

SimMachine::SimMachine(Ownership& ownership, std::string name, SimMemory& memory, const MachinePlan& plan,
                       RunState state)
    : ownership_(ownership),
      world_(ownership.world),
      name_(std::move(name)),
      memory_(memory),
      plan_(plan),
      state_(state) {
    ownership_.machines.push_back(this);
    if (state != RunState::inmigrate) {
        ownership_.take_disks(*this);
    }
}

void SimMachine::lock() {
    Scheduler& scheduler = world_.scheduler();
    scheduler.maybe_preempt();
    Fiber* self = scheduler.running();
    if (lock_holder_ == self) {
        world_.violation("the machine lock is taken twice by " + self->name);
    }
    while (lock_holder_ != nullptr) {
        scheduler.wait(lock_queue_, forever, "the machine lock");
    }
    lock_holder_ = self;
    ++self->machine_locks;
    scheduler.maybe_preempt();
}

void SimMachine::unlock() {
    expect_lock("unlock");
    lock_holder_ = nullptr;
    --world_.scheduler().running()->machine_locks;
    world_.scheduler().wake_all(lock_queue_);
    world_.scheduler().maybe_preempt();
}

void SimMachine::expect_lock(const char* what) const {
    if (lock_holder_ != world_.scheduler().running()) {
        world_.violation(fmt::format("MachineControl::{} without the machine lock", what));
    }
}

void SimMachine::expect_state(const char* what, RunState expected) {
    expect_lock(what);
    if (state_ != expected) {
        world_.violation(
            fmt::format("{}: {} in state {} instead of {}", name_, what, to_string(state_), to_string(expected)));
    }
}

void SimMachine::set_state(RunState state, const char* why) {
    world_.trace("{}: {} -> {} ({})", name_, to_string(state_), to_string(state), why);
    state_ = state;
    if (!dead_) {
        ownership_.check();
    }
    if (state == RunState::running) {
        world_.scheduler().wake_all(guest_may_run);
    }
}

RunState SimMachine::run_state() const {
    expect_lock("run_state");
    return state_;
}

bool SimMachine::set_cpu_throttle(unsigned percent) {
    if (percent > 99) {
        world_.violation(fmt::format("{} is to be throttled by {} %", name_, percent));
    }
    throttle_percent_ = percent;
    return true;
}

Status SimMachine::stop_for_switchover() {
    expect_lock("stop_for_switchover");
    if (state_ == RunState::shutdown) {
        return fail(ErrorCode::guest_gone, "the guest has powered itself off");
    }
    if (state_ != RunState::running && state_ != RunState::paused) {
        world_.violation(fmt::format("{}: stop_for_switchover in state {}", name_, to_string(state_)));
    }
    if (plan_.stop_fails) {
        return fail(ErrorCode::io, "simulated: a disk cannot be flushed");
    }
    world_.scheduler().sleep_for(plan_.stop_cost / 2);
    before_ = state_;
    stopped_at_ = world_.now();
    set_state(RunState::finish_migrate, "stop for the switchover");
    world_.scheduler().sleep_for(plan_.stop_cost / 2);
    return {};
}

Status SimMachine::resume_after_failure(RunState before) {
    expect_state("resume_after_failure", RunState::finish_migrate);
    if (before != before_) {
        world_.violation(fmt::format("{}: resumed as {}, was {}", name_, to_string(before), to_string(before_)));
    }
    world_.scheduler().maybe_preempt();
    if (!dead_ && (plan_.resume_fails || !ownership_.take_disks(*this) || !lock_disks())) {
        return fail(ErrorCode::io, "simulated: the disks cannot be taken back");
    }
    resumed_at_ = world_.now();
    set_state(before, "resume after a failure");
    return {};
}

Status SimMachine::release_disks() {
    expect_state("release_disks", RunState::finish_migrate);
    world_.scheduler().maybe_preempt();
    if (plan_.release_fails) {
        return fail(ErrorCode::io, "simulated: the disks cannot be released");
    }
    world_.trace("{}: disks released", name_);
    expect_flushed("release_disks");
    ownership_.release_disks(*this);
    unlock_disks();
    return {};
}

void SimMachine::finish_migrated(bool owned_elsewhere) {
    expect_state("finish_migrated", RunState::finish_migrate);
    expect_flushed("finish_migrated");
    owned_elsewhere_ = owned_elsewhere;
    set_state(RunState::postmigrate, "moved away");
}

void SimMachine::set_ownership_unknown() {
    expect_lock("set_ownership_unknown");
    if (state_ != RunState::finish_migrate && state_ != RunState::inmigrate) {
        world_.violation(fmt::format("{}: set_ownership_unknown in state {}", name_, to_string(state_)));
    }
    ownership_unknown_ = true;
    set_state(RunState::paused, "ownership unknown");
}

Status SimMachine::set_incoming_run_state(std::string_view name) {
    expect_state("set_incoming_run_state", RunState::inmigrate);
    incoming_ = run_state_from_string(name);
    if (!incoming_) {
        world_.violation(fmt::format("unknown run state '{}' arrived", name));
        return fail(ErrorCode::device_state, "unknown run state");
    }
    return {};
}

Status SimMachine::start_after_load() {
    expect_state("start_after_load", RunState::inmigrate);
    world_.scheduler().sleep_for(plan_.start_cost / 2);
    if (plan_.start_fails) {
        return fail(ErrorCode::io, "simulated: the disks cannot be taken");
    }
    if (!dead_ && (ownership_.copied || ownership_.residue_possible)) {
        // The source may have gone on after the copy was complete: there is no truth to compare with.
    } else if (!dead_) {
        if (!ownership_.take_disks(*this) || !lock_disks()) {
            return fail(ErrorCode::io, "the disks are in use");
        }
        check_disks_at_start();
        const std::string difference = memory_.difference(ownership_.guest.shadow());
        if (!difference.empty()) {
            world_.violation(name_ + " starts with wrong memory: " + difference);
        }
        if (!loaded_registers || *loaded_registers != ownership_.guest.registers()) {
            world_.violation(name_ + " starts with wrong device state");
        }
        if (!incoming_ && !run_state_unknown) {
            world_.violation(name_ + " starts without having been told the run state");
        }
    }
    started_after_load_ = true;
    started_at_ = world_.now();
    set_state(incoming_.value_or(RunState::running), "start after load");
    world_.scheduler().sleep_for(plan_.start_cost / 2);
    return {};
}

bool SimMachine::may_run() const {
    return !dead_ && !ownership_unknown_ && !owned_elsewhere_ &&
           (state_ == RunState::running || state_ == RunState::paused || state_ == RunState::prelaunch);
}

void SimMachine::operator_stop() {
    lock();
    if (state_ == RunState::running) {
        set_state(RunState::paused, "operator's stop");
    }
    unlock();
}

bool SimMachine::operator_cont() {
    lock();
    const bool allowed = may_run();
    if (allowed && state_ != RunState::running) {
        set_state(RunState::running, "operator's cont");
    }
    unlock();
    return allowed;
}

void SimMachine::operator_force() {
    lock();
    ownership_unknown_ = false;
    owned_elsewhere_ = false;
    ownership_.take_disks(*this);
    lock_disks();
    set_state(RunState::running, "forced by the operator");
    unlock();
}

void SimMachine::guest_powers_off() {
    lock();
    if (state_ == RunState::running) {
        set_state(RunState::shutdown, "the guest powers off");
    }
    unlock();
}

void SimMachine::die() {
    dead_ = true;
    ownership_.release_disks(*this);
    unlock_disks();
}

}  // namespace godwit::sim
