#include "machine/emulator_vcpu.h"

#include <fmt/format.h>
#include <x86intrin.h>

#include <utility>

#include "base/assert.h"
#include "machine/cpu_events.h"
#include "machine/cpu_fpu.h"
#include "machine/cpu_registers.h"
#include "machine/emulator_interrupts.h"
#include "machine/emulator_registers.h"

namespace godwit {

namespace {

constexpr std::uint64_t protection = 1;

ExitOutcome failure(std::string what) {
    ExitOutcome outcome;
    outcome.request =
        GuestRequest{GuestRequest::Kind::cpu_failure, 0, fmt::format("virtual CPU 0: {}", std::move(what))};
    return outcome;
}

}  // namespace

CpuIdentity EmulatorVcpu::identity() const {
    // Of the CPU model "qemu64": family 15, model 107, stepping 1.
    constexpr std::uint32_t signature = 0x60fb1;
    return {signature, 0};
}

void EmulatorVcpu::prepare_run(bool complete_only) {
    complete_only_ = complete_only;
    stop_.store(false);
}

void EmulatorVcpu::interrupt() {
    stop_.store(true);
    stop_.notify_all();
}

ExitOutcome EmulatorVcpu::run(const GuestBuses& buses) {
    if (complete_only_) {
        return {.kind = ExitOutcome::Kind::interrupted};
    }
    say_that_time_jumps();
    {
        const std::lock_guard lock(mutex_);
        if (!engine_ && state_.cpu.mp_state == CpuState::mp_runnable) {
            if (Status ready = bring_engine_up(); !ready) {
                return failure(ready.error().message);
            }
        }
        tell_engine_marks();
        running_ = true;
        ++runs_;
    }
    ExitOutcome outcome = state_.cpu.mp_state == CpuState::mp_halted ? wait_halted() : enter(buses);
    const std::lock_guard lock(mutex_);
    running_ = false;
    changed_.notify_all();
    return outcome;
}

ExitOutcome EmulatorVcpu::wait_halted() {
    stop_.wait(false);
    return {.kind = ExitOutcome::Kind::interrupted};
}

ExitOutcome EmulatorVcpu::enter(const GuestBuses& buses) {
    ExitOutcome outcome;
    const EmulatorEngine::End end = engine_->run(buses);
    if (engine_->has_halted()) {
        state_.cpu.mp_state = CpuState::mp_halted;
    }
    if (end == EmulatorEngine::End::stopped) {
        outcome.kind = ExitOutcome::Kind::interrupted;
    } else if (end == EmulatorEngine::End::request) {
        outcome.request = engine_->request();
    }
    return outcome;
}

Status EmulatorVcpu::bring_engine_up() {
    if (code_) {
        code_->clear();
    }
    auto engine = std::make_unique<EmulatorEngine>(stop_, memory_, code_ ? &*code_ : nullptr);
    if (Status opened = engine->open(); !opened) {
        return opened;
    }
    if (Status loaded = load_engine(*engine, state_.cpu); !loaded) {
        return loaded;
    }
    if (Status mapped = engine->map_devices(); !mapped) {
        return mapped;
    }
    engine_ = std::move(engine);
    return {};
}

void EmulatorVcpu::tell_engine_marks() {
    if (!engine_) {
        return;
    }
    if (Status told = engine_->set_marks(marks_); !told) {
        // Whoever wanted the marks learns of it, and goes without.
        marks_told_ = std::move(told);
        marks_ = nullptr;
    }
}

Status EmulatorVcpu::current(CpuState& cpu) const {
    cpu = state_.cpu;
    return engine_ ? save_engine(*engine_, memory_, cpu) : Status();
}

Status EmulatorVcpu::save(VcpuState& state) const {
    state = state_;
    if (Status known = current(state.cpu); !known) {
        return known;
    }
    state.cpu.tsc = __rdtsc();
    return {};
}

Status EmulatorVcpu::load(const VcpuState& state) {
    if (Status status = check_registers(state.cpu); !status) {
        return status;
    }
    if (Status status = check_fpu(state.cpu); !status) {
        return status;
    }
    if (Status status = check_emulable(state); !status) {
        return status;
    }
    state_ = state;
    // Whoever loads a CPU has loaded memory too: what was translated is of no use any more.
    engine_.reset();
    // What the engine does not take is refused now, while the guest can still go on at its source.
    const std::lock_guard lock(mutex_);
    return (state_.cpu.cr0 & protection) != 0 ? bring_engine_up() : Status();
}

Status EmulatorVcpu::load_tsc(const CpuState& state) {
    // Only a CPU that arrives gets one. `load` takes what a reset makes, too, which does not run as it is.
    if ((state.cr0 & protection) == 0) {
        return fail(ErrorCode::device_state, "this CPU cannot go on in the emulator: it is in real mode",
                    "let the guest move to a host with KVM");
    }
    arrived_ = true;
    return {};
}

void EmulatorVcpu::say_that_time_jumps() {
    if (std::exchange(arrived_, false)) {
        log_.write(LogLevel::warning,
                   "the emulator's time stamp counter is the host's: a guest that measures time with it sees a jump");
    }
}

Status EmulatorVcpu::save_apic(ApicState& state) const {
    state = apic_;
    return {};
}

Status EmulatorVcpu::load_apic(const ApicState& state) {
    if (Status status = check_apic_still(state); !status) {
        return status;
    }
    apic_ = state;
    return {};
}

Status EmulatorVcpu::set_marks(BlockMarks* marks) {
    std::unique_lock lock(mutex_);
    marks_ = marks;
    marks_told_ = {};
    // A run that begins from now on tells the engine itself.
    if (running_) {
        stop_.store(true);
        stop_.notify_all();
        changed_.wait(lock, [this, run = runs_] { return !running_ || runs_ != run; });
    }
    if (!running_) {
        tell_engine_marks();
    }
    return marks_told_;
}

void EmulatorVcpu::memory_written(std::size_t block, PageNumber first, PageCount count) {
    if (code_) {
        code_->written(block, first, count);
    }
}

}  // namespace godwit
