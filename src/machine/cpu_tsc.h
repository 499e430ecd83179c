#pragma once

#include "godwit/error.h"
#include "machine/cpu_state.h"
#include "machine/kvm_vm.h"

namespace godwit {

/// Reads the time stamp counter and its rate (0 where KVM does not tell it). Errors: `device_state`.
Status save_tsc(const KvmVcpu& vcpu, CpuState& state);

/// Sets the rate, where it differs and can be set, and the counter, and reads the counter back. Where KVM ignores the
/// value, or the rate stays another one, the log says so once for a machine, and the guest goes on with the host's.
/// Errors: `device_state`.
Status load_tsc(const KvmVcpu& vcpu, const CpuState& state);

}  // namespace godwit
