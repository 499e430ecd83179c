#include "machine/cpu_events.h"

#include <fmt/format.h>

#include <string_view>

#include "machine/cpu_flags.h"

namespace godwit {

namespace {

/// A pending system management interrupt.
constexpr std::uint32_t interrupt_request_smi = 0x40;

constexpr std::int32_t no_vector = -1;

Status refuse(std::string_view what, std::int64_t value) {
    return fail(ErrorCode::device_state, fmt::format("pending events: impossible {} {}", what, value));
}

}  // namespace

void from_kvm_events(const kvm_vcpu_events& events, CpuState& state) {
    const bool repeats = events.exception.has_error_code != 0 && events.exception.error_code != 0;
    const bool exception = events.exception.injected != 0 && !repeats;
    state.exception_nr = exception ? events.exception.nr : no_vector;
    state.has_error_code = exception ? events.exception.has_error_code : 0;
    state.interrupt_injected = events.interrupt.injected != 0 ? events.interrupt.nr : no_vector;
    state.soft_interrupt = events.interrupt.soft;
    state.nmi_injected = events.nmi.injected;
    state.nmi_pending = events.nmi.pending;
    state.sipi_vector = events.sipi_vector;
    state.hflags2 = hflag2_global_interrupts;
    if (events.nmi.masked != 0) {
        state.hflags2 |= hflag2_nmi_masked;
    }
    if ((events.flags & KVM_VCPUEVENT_VALID_SHADOW) != 0 && events.interrupt.shadow != 0) {
        state.hflags |= hflag_interrupt_shadow;
    }
    if ((events.flags & KVM_VCPUEVENT_VALID_SMM) != 0 && events.smi.smm != 0) {
        state.hflags |= hflag_smm;
        state.hflags2 |= events.smi.smm_inside_nmi != 0 ? hflag2_smm_inside_nmi : 0;
    }
}

std::uint32_t interrupt_request_of(const kvm_vcpu_events& events) {
    const bool smi = (events.flags & KVM_VCPUEVENT_VALID_SMM) != 0 && events.smi.pending != 0;
    return smi ? interrupt_request_smi : 0;
}

kvm_vcpu_events to_kvm_events(const CpuState& state, std::uint32_t interrupt_request, bool smm) {
    kvm_vcpu_events events{};
    if (state.exception_nr != no_vector) {
        events.exception.injected = 1;
        events.exception.nr = static_cast<std::uint8_t>(state.exception_nr);
        events.exception.has_error_code = state.has_error_code != 0 ? 1 : 0;
    }
    if (state.interrupt_injected != no_vector) {
        events.interrupt.injected = 1;
        events.interrupt.nr = static_cast<std::uint8_t>(state.interrupt_injected);
        events.interrupt.soft = state.soft_interrupt;
    }
    // How the instruction before it holds interrupts off is not told; MOV SS holds off more than STI.
    events.interrupt.shadow = (state.hflags & hflag_interrupt_shadow) != 0 ? KVM_X86_SHADOW_INT_MOV_SS : 0;
    events.nmi.injected = state.nmi_injected;
    events.nmi.pending = state.nmi_pending;
    events.nmi.masked = (state.hflags2 & hflag2_nmi_masked) != 0 ? 1 : 0;
    events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
    if (state.mp_state == KVM_MP_STATE_SIPI_RECEIVED) {
        events.sipi_vector = state.sipi_vector;
        events.flags |= KVM_VCPUEVENT_VALID_SIPI_VECTOR;
    }
    if (smm) {
        events.smi.smm = (state.hflags & hflag_smm) != 0 ? 1 : 0;
        events.smi.pending = (interrupt_request & interrupt_request_smi) != 0 ? 1 : 0;
        events.smi.smm_inside_nmi = (state.hflags2 & hflag2_smm_inside_nmi) != 0 ? 1 : 0;
        events.flags |= KVM_VCPUEVENT_VALID_SMM;
    }
    return events;
}

void from_kvm_debug_registers(const kvm_debugregs& registers, CpuState& state) {
    // DR4 and DR5 are other names of DR6 and DR7.
    state.dr = {registers.db[0], registers.db[1], registers.db[2], registers.db[3],
                registers.dr6,   registers.dr7,   registers.dr6,   registers.dr7};
}

kvm_debugregs to_kvm_debug_registers(const CpuState& state) {
    kvm_debugregs registers{};
    for (std::size_t n = 0; n < 4; ++n) {
        registers.db[n] = state.dr[n];
    }
    registers.dr6 = state.dr[6];
    registers.dr7 = state.dr[7];
    return registers;
}

Status check_events(const CpuState& state, bool smm) {
    constexpr std::int32_t last_exception = 31;
    constexpr std::int32_t last_vector = 255;
    if (state.exception_nr < no_vector || state.exception_nr > last_exception) {
        return refuse("exception", state.exception_nr);
    }
    if (state.interrupt_injected < no_vector || state.interrupt_injected > last_vector) {
        return refuse("interrupt", state.interrupt_injected);
    }
    if (state.sipi_vector > static_cast<std::uint32_t>(last_vector)) {
        return refuse("start vector", state.sipi_vector);
    }
    if (state.mp_state > KVM_MP_STATE_SIPI_RECEIVED) {
        return refuse("run state of the CPU", state.mp_state);
    }
    if ((state.hflags & hflag_guest) != 0) {
        return fail(ErrorCode::device_state, "the CPU is inside a guest of its own, which cannot be moved",
                    "give the guest a CPU model without virtualisation");
    }
    if (!smm && (state.hflags & hflag_smm) != 0) {
        return fail(ErrorCode::device_state, "the CPU is in system management mode, which KVM here lacks");
    }
    return {};
}

}  // namespace godwit
