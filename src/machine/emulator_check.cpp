// What an emulated CPU cannot do.

#include <fmt/format.h>

#include <string_view>

#include "machine/cpu_flags.h"
#include "machine/cpu_used_features.h"
#include "machine/cpuid_bits.h"
#include "machine/emulator_registers.h"

namespace godwit {

namespace {

constexpr std::uint64_t paging = std::uint64_t{1} << 31;
constexpr std::uint64_t long_mode = 0x500;
constexpr std::uint64_t virtual_8086 = 1U << 17;
constexpr std::uint64_t clock_enabled = 1;
constexpr std::uint64_t breakpoints = 0xff;
constexpr std::uint64_t protection = 1;
constexpr std::uint32_t present = 1U << 15;

/// A CPU after power-on is in real mode too. It does not run: its machine sets it up first.
bool is_at_reset_vector(const CpuState& cpu) {
    return cpu.rip == 0xfff0 && cpu.segments[CpuState::cs].base == 0xffff'0000;
}

constexpr const char* advice = "let the guest move to a host with KVM";

/// What a guest may have switched on: the features of qemu64 that Unicorn has, or that do nothing without paging.
CpuidTable emulated_features() {
    kvm_cpuid_entry2 base{};
    base.function = 1;
    base.edx = cpuid::base_edx;
    base.ecx = cpuid::sse3 | cpuid::cx16;
    kvm_cpuid_entry2 extended{};
    extended.function = 0x8000'0001;
    extended.edx = cpuid::syscall | cpuid::nx | cpuid::long_mode;
    return {base, extended};
}

/// Errors: `device_state`.
Status check_features(const CpuState& cpu) {
    Status status = check_used_features(cpu, emulated_features());
    if (!status) {
        status.error().hint = advice;
    }
    return status;
}

}  // namespace

Status check_emulable(const VcpuState& state) {
    const CpuState& cpu = state.cpu;
    const bool waits = cpu.mp_state != CpuState::mp_runnable && cpu.mp_state != CpuState::mp_halted;
    const bool has_event = cpu.exception_nr >= 0 || cpu.interrupt_injected >= 0 || cpu.nmi_injected != 0 ||
                           cpu.nmi_pending != 0 || state.interrupt_request != 0;
    struct {
        bool found;
        std::string_view what;
    } const obstacles[] = {
        {(cpu.efer & long_mode) != 0, "it is in 64-bit mode"},
        {(cpu.cr0 & paging) != 0, "it uses paging"},
        {(cpu.cr0 & protection) == 0 && !is_at_reset_vector(cpu), "it is in real mode"},
        {(cpu.segments[CpuState::cs].flags & cpu.segments[CpuState::ss].flags & present) == 0,
         "it has no code or no stack segment"},
        {(cpu.rflags & virtual_8086) != 0, "it is in virtual-8086 mode"},
        {(cpu.hflags & (hflag_smm | hflag_guest)) != 0, "it is in system management mode or in a guest of its own"},
        {(cpu.system_time_msr & clock_enabled) != 0, "it uses the clock of KVM"},
        {(cpu.dr[7] & breakpoints) != 0, "it has breakpoints"},
        {has_event, "an interrupt or exception is on its way into it"},
        {waits, "it waits for a start message"},
    };
    for (const auto& obstacle : obstacles) {
        if (obstacle.found) {
            return fail(ErrorCode::device_state,
                        fmt::format("this CPU cannot go on in the emulator: {}", obstacle.what), advice);
        }
    }
    return check_features(cpu);
}

}  // namespace godwit
