#pragma once

#include "godwit/error.h"
#include "machine/cpu_state.h"
#include "machine/kvm_api.h"

namespace godwit {

// Events on their way into a CPU, and debug registers, between KVM's structures and the layout of a CPU's state.

/// An exception with an error code other than 0 is left out: the layout has no place for the code. Nothing is lost,
/// since such exceptions are faults, and the CPU repeats the instruction, with the same fault.
void from_kvm_events(const kvm_vcpu_events& events, CpuState& state);
/// `interrupt_request` is the field of the section "cpu_common"; `smm` tells whether KVM has system management mode.
kvm_vcpu_events to_kvm_events(const CpuState& state, std::uint32_t interrupt_request, bool smm);

/// Bits of the section "cpu_common" for events that are pending.
std::uint32_t interrupt_request_of(const kvm_vcpu_events& events);

void from_kvm_debug_registers(const kvm_debugregs& registers, CpuState& state);
kvm_debugregs to_kvm_debug_registers(const CpuState& state);

/// Errors: `device_state`.
Status check_events(const CpuState& state, bool smm);

}  // namespace godwit
