#pragma once

#include "godwit/error.h"
#include "machine/cpu_state.h"
#include "machine/kvm_vm.h"

namespace godwit {

/// Reads everything but the interrupt controller's registers. The CPU is paused and no I/O instruction is half done.
/// Errors: `device_state`, naming the group of registers.
Status save_vcpu(const KvmVcpu& vcpu, VcpuState& state);

/// Checks the state, which may come from outside, and gives it to the CPU, all but the time stamp counter and the
/// interrupt controller. Errors: `device_state`, naming the group of registers; then the CPU must not run.
Status load_vcpu(const KvmVcpu& vcpu, const VcpuState& state);

}  // namespace godwit
