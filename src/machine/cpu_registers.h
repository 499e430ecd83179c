#pragma once

#include "godwit/error.h"
#include "machine/cpu_state.h"
#include "machine/kvm_api.h"

namespace godwit {

// General, segment and control registers between KVM's structures and the layout of a CPU's state.

/// An unusable segment has no flags; its base, limit and selector are kept.
SegmentState from_kvm_segment(const kvm_segment& segment);
/// A segment whose flags lack "present" is unusable. Other bits of a descriptor, which some senders leave in the flags,
/// are ignored.
kvm_segment to_kvm_segment(const SegmentState& segment);

void from_kvm_regs(const kvm_regs& regs, CpuState& state);
kvm_regs to_kvm_regs(const CpuState& state);

void from_kvm_sregs(const kvm_sregs& sregs, CpuState& state);
/// Leaves the registers of the interrupt controller (CR8, APIC base) and pending interrupts as they are in `sregs`.
void to_kvm_sregs(const CpuState& state, kvm_sregs& sregs);

/// Checks what KVM takes but no CPU can have: such a guest could not be entered. Errors: `device_state`.
Status check_registers(const CpuState& state);

}  // namespace godwit
