#pragma once

#include "godwit/error.h"
#include "machine/cpu_state.h"
#include "machine/kvm_cpuid.h"

namespace godwit {

/// Refuses a guest that has switched on what this CPU, whose answers `cpuid` holds, does not have: it would end in an
/// exception at some time after the move. The stream does not tell the source's CPU model, so what is in use is all
/// that can be known. Bits: Intel SDM volume 3, "Control Registers" and "Extended Control Registers"; AMD APM volume 2,
/// "Extended Feature Enable Register". Errors: `device_state`, naming the feature.
Status check_used_features(const CpuState& state, const CpuidTable& cpuid);

}  // namespace godwit
