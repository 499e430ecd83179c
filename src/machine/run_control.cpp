#include "machine/run_control.h"

#include <fmt/format.h>

#include "base/assert.h"

namespace godwit {

namespace {

bool needs_reset(RunState state) {
    return state == RunState::shutdown || state == RunState::internal_error || state == RunState::guest_panicked;
}

/// The state in which a guest arrives whose source was in the state `name`.
std::optional<RunState> arrival_state(std::string_view name) {
    // States of other machines that stand for "stopped, may go on": nothing here distinguishes them from a pause.
    for (const std::string_view stopped : {"io-error", "watchdog", "debug", "save-vm", "restore-vm", "colo"}) {
        if (name == stopped) {
            return RunState::paused;
        }
    }
    const std::optional<RunState> state = run_state_from_string(name);
    // A source that sends its own switchover state or its afterlife had a stopped guest when it said so.
    if (state == RunState::finish_migrate || state == RunState::postmigrate) {
        return RunState::paused;
    }
    return state == RunState::inmigrate ? std::nullopt : state;
}

}  // namespace

Status RunControl::check_ownership() const {
    if (ownership_ == Ownership::elsewhere) {
        return fail(ErrorCode::ownership_gone, "the guest was handed over and runs at the destination",
                    "look at the destination; only if the guest does not run there, take it back by force "
                    "(godwit own, or QMP cont with force)");
    }
    if (ownership_ == Ownership::unknown) {
        return fail(ErrorCode::handover_unknown,
                    "the connection was lost during the handover: it is unknown which side owns the guest",
                    "wait until the other side's migration has ended, or end its program; if the guest does not run "
                    "there, run it here and on exactly one side (godwit own, or QMP cont with force)");
    }
    return {};
}

RunControl::Action RunControl::power_on(bool paused) {
    GODWIT_ASSERT(state() == RunState::prelaunch, "a machine is powered on once, not in state {}", to_string(state()));
    if (paused) {
        return Action::none;
    }
    state_ = RunState::running;
    return Action::start;
}

Status RunControl::check_cont(bool force) const {
    switch (state()) {
        case RunState::running:
        case RunState::inmigrate:
            return {};
        case RunState::finish_migrate:
            return fail(ErrorCode::wrong_state, "the guest is being handed over and cannot be started now",
                        "wait for the end of the migration, or cancel it");
        case RunState::shutdown:
        case RunState::internal_error:
        case RunState::guest_panicked:
            return fail(ErrorCode::wrong_state,
                        fmt::format("the guest cannot go on after it ended in the state {}", to_string(state())),
                        "start the machine anew");
        case RunState::prelaunch:
        case RunState::paused:
        case RunState::postmigrate:
            break;
    }
    return force ? Status() : check_ownership();
}

Result<RunControl::Action> RunControl::cont(bool force) {
    if (const Status possible = check_cont(force); !possible) {
        return fail(possible.error());
    }
    if (state() == RunState::running) {
        return Action::none;
    }
    if (state() == RunState::inmigrate) {
        run_after_load_ = true;
        return Action::none;
    }
    ownership_ = Ownership::here;
    state_ = RunState::running;
    return Action::start;
}

Result<RunControl::Action> RunControl::stop() {
    switch (state()) {
        case RunState::running:
            return Action::stop;
        case RunState::inmigrate:
            run_after_load_ = false;
            return Action::none;
        case RunState::finish_migrate:
            return fail(ErrorCode::wrong_state,
                        "the guest is being handed over: whether it will run is not for this side "
                        "to say now",
                        "wait for the end of the migration and stop the guest where it then is");
        default:
            return Action::none;
    }
}

Result<RunControl::Action> RunControl::check_switchover() const {
    if (const Status owned = check_ownership(); !owned) {
        return fail(owned.error());
    }
    switch (state()) {
        case RunState::running:
            return Action::stop;
        case RunState::prelaunch:
        case RunState::paused:
        case RunState::postmigrate:
        case RunState::guest_panicked:
            return Action::none;
        case RunState::shutdown:
            return fail(ErrorCode::guest_gone, "the guest has powered itself off: there is nothing left to move");
        case RunState::internal_error:
            return fail(ErrorCode::vcpu, "a virtual CPU has failed: the guest cannot be moved");
        case RunState::inmigrate:
        case RunState::finish_migrate:
            break;
    }
    return fail(ErrorCode::wrong_state,
                fmt::format("a machine in the state {} has no guest to hand over", to_string(state())));
}

void RunControl::set_stopped(RunState state) {
    GODWIT_ASSERT(state != RunState::running && state != RunState::inmigrate, "{} is not a stopped state",
                  to_string(state));
    state_ = state;
}

RunControl::Action RunControl::resume_after_failure(RunState before) {
    if (state() != RunState::finish_migrate) {
        return Action::none;
    }
    GODWIT_ASSERT(before != RunState::finish_migrate && before != RunState::inmigrate,
                  "{} cannot have been the state before a switchover", to_string(before));
    state_ = before;
    return before == RunState::running ? Action::start : Action::none;
}

void RunControl::finish_migrated(bool owned_elsewhere) {
    GODWIT_ASSERT(state() == RunState::finish_migrate, "a switchover ends in finish-migrate, not in {}",
                  to_string(state()));
    state_ = RunState::postmigrate;
    ownership_ = owned_elsewhere ? Ownership::elsewhere : Ownership::here;
}

void RunControl::set_ownership_unknown() {
    GODWIT_ASSERT(state() != RunState::running, "a running guest has an owner");
    ownership_ = Ownership::unknown;
    if (!needs_reset(state())) {
        state_ = RunState::paused;
    }
}

Status RunControl::set_incoming(std::string_view name) {
    const std::optional<RunState> arrival = arrival_state(name);
    if (arrival) {
        incoming_ = *arrival;
        return {};
    }
    if (name == "suspended") {
        return fail(ErrorCode::unsupported, "the incoming guest is suspended (ACPI S3), which this machine cannot be",
                    "wake the guest at the source first");
    }
    return fail(ErrorCode::stream_corrupt,
                fmt::format("the source claims a run state that no guest to move can have: '{}'", name.substr(0, 100)));
}

Result<RunControl::Action> RunControl::start_after_load() {
    if (state() != RunState::inmigrate) {
        return fail(ErrorCode::wrong_state,
                    fmt::format("a machine in the state {} does not wait for a guest", to_string(state())));
    }
    const bool run = incoming_ == RunState::running && run_after_load_;
    state_ = incoming_ == RunState::running && !run ? RunState::paused : incoming_;
    return run ? Action::start : Action::none;
}

void RunControl::stay_paused_after_load() {
    if (state() == RunState::inmigrate) {
        state_ = incoming_ == RunState::running ? RunState::paused : incoming_;
    }
}

}  // namespace godwit
