// Stopping the guest, and what the guest asks for itself: reset and power-off. A request is carried out by whoever
// stops the virtual CPUs first: the event loop, which is told of it, an operator, or a migration's switchover. A reset
// has to wait until the guest's disks are quiet; then it is carried out by the event loop if the guest is to run, or by
// the migration that asks whether it is quiet.

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "machine/virtual_machine.h"

namespace godwit {

namespace {

/// When the CPUs could not be stopped to carry out a request, it is tried again.
constexpr std::chrono::milliseconds retry_interval{100};
/// Between two looks at whether the disks are quiet.
constexpr std::chrono::milliseconds quiet_interval{20};

}  // namespace

Status VirtualMachine::stop_guest(RunState state) {
    GuestRequest request;
    if (microvm_) {
        if (auto status = microvm_->pause(); !status) {
            return status;
        }
        request = microvm_->take_request();
    }
    carry_out(request);
    if (run_.state() == RunState::running) {
        run_.set_stopped(state);
        emit({MachineEvent::Kind::stop});
    }
    return {};
}

void VirtualMachine::carry_out(const GuestRequest& request) {
    MachineEvent end{MachineEvent::Kind::shutdown};
    switch (request.kind) {
        case GuestRequest::Kind::none:
            return;
        case GuestRequest::Kind::reset:
            if (!microvm_->has_kernel()) {
                return end_by_reset(
                    "the guest asked for a reset, but this machine has no kernel to load again (start a destination "
                    "with the kernel to allow it)");
            }
            reset_ = Reset::waiting;
            return try_reset();
        case GuestRequest::Kind::power_off:
            end.reason = MachineEventReason::guest_shutdown;
            end.exit_status = request.exit_status;
            exit_status_ = request.exit_status;
            break;
        case GuestRequest::Kind::cpu_failure:
            log_.write(LogLevel::error, request.message);
            failure_ = request.message;
            end.reason = MachineEventReason::vcpu_error;
            end.exit_status = 1;
            end.message = request.message;
            end_guest(RunState::internal_error, std::move(end));
            return;
    }
    end_guest(RunState::shutdown, std::move(end));
}

void VirtualMachine::try_reset() {
    if (microvm_->is_quiet()) {
        reset_guest();
    }
    if (reset_ == Reset::failed) {
        end_by_reset("the guest asked for a reset, and its kernel could not be loaded again");
    }
}

void VirtualMachine::reset_guest() {
    if (reset_ != Reset::waiting) {
        return;
    }
    if (const Status booted = microvm_->boot(); !booted) {
        log_.write(LogLevel::error, fmt::format("the guest could not be reset: {}", booted.error().text()));
        reset_ = Reset::failed;
        return;
    }
    reset_ = Reset::none;
    emit({MachineEvent::Kind::reset, MachineEventReason::guest_reset});
}

void VirtualMachine::end_by_reset(std::string why) {
    MachineEvent end{MachineEvent::Kind::shutdown, MachineEventReason::guest_reset};
    end.message = std::move(why);
    end_guest(RunState::shutdown, std::move(end));
}

void VirtualMachine::continue_reset() {
    const MachineLock lock(*this);
    loop_.cancel_timer(reset_timer_);
    if (run_.state() != RunState::running || reset_ == Reset::none) {
        return;  // whoever lets the guest run again comes back to it
    }
    try_reset();
    if (reset_ == Reset::waiting) {
        reset_timer_ = call_later(quiet_interval, &VirtualMachine::continue_reset);
    } else if (run_.state() == RunState::running) {
        microvm_->resume();
    }
}

void VirtualMachine::end_guest(RunState state, MachineEvent event) {
    run_.set_stopped(state);
    emit(std::move(event));
    emit({MachineEvent::Kind::stop});
}

void VirtualMachine::carry_out_requests() {
    const MachineLock lock(*this);
    // Somebody else may have carried it out, stopping the guest for another reason.
    if (run_.state() != RunState::running || !microvm_->has_request()) {
        return;
    }
    if (const Status paused = microvm_->pause(); !paused) {
        log_.write(LogLevel::error, paused.error().text());
        call_later(retry_interval, &VirtualMachine::carry_out_requests);
        return;
    }
    carry_out(microvm_->take_request());
    if (run_.state() != RunState::running) {
        return;
    }
    if (reset_ != Reset::none) {
        post([this] { continue_reset(); });
    } else {
        microvm_->resume();
    }
}

int VirtualMachine::call_later(std::chrono::milliseconds delay, void (VirtualMachine::*what)()) {
    return loop_.call_at(clock_.now() + delay, [this, what, alive = std::weak_ptr<char>(alive_)] {
        if (alive.lock()) {
            (this->*what)();
        }
    });
}

void VirtualMachine::request_shutdown(MachineEventReason reason) {
    post([this, reason] { shut_down(reason); });
}

void VirtualMachine::shut_down(MachineEventReason reason) {
    const MachineLock lock(*this);
    MachineEvent event{MachineEvent::Kind::shutdown, reason};
    const bool running = run_.state() == RunState::running;
    if (running && microvm_) {
        if (const Status paused = microvm_->pause(); !paused) {
            log_.write(LogLevel::warning, paused.error().text());
        }
    }
    if (running) {
        end_guest(RunState::shutdown, std::move(event));
    } else {
        // Of a guest that does not run the state tells more than "shutdown" would; during a switchover it is the
        // migration's.
        emit(std::move(event));
    }
}

}  // namespace godwit
