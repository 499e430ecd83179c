#pragma once

#include <cstdint>

#include "godwit/error.h"
#include "machine/cpu_state.h"
#include "machine/kvm_api.h"

namespace godwit {

// x87, SSE and AVX state between the XSAVE area (standard format) and the layout of a CPU's state.

/// `xcr0` becomes the state's: what it does not enable (x87 and SSE always are) the guest cannot have in use, though
/// older kernels report it.
void from_kvm_xsave(const kvm_xsave& area, std::uint64_t xcr0, CpuState& state);
kvm_xsave to_kvm_xsave(const CpuState& state);

/// Checks that there is no other state than x87, SSE and AVX, and that its parts agree. Errors: `device_state`.
Status check_fpu(const CpuState& state);

}  // namespace godwit
