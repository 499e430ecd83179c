#pragma once

#include <unicorn/unicorn.h>

#include <cstdint>

#include "godwit/error.h"
#include "machine/cpu_state.h"

namespace godwit {

// The model-specific registers that Unicorn holds. Of the others, EFER among them, a guest's CPU state keeps what it
// had: what a guest writes there has no effect, and it reads what Unicorn says, mostly 0.

/// Errors: `device_state`.
Status load_msrs(uc_engine* uc, const CpuState& state);
void save_msrs(uc_engine* uc, CpuState& state);

/// What a guest has written to the base of FS or GS, or has loaded from a table.
std::uint32_t read_fs_base(uc_engine* uc);
std::uint32_t read_gs_base(uc_engine* uc);

}  // namespace godwit
