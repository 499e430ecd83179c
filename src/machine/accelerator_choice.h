#pragma once

#include <memory>

#include "godwit/error.h"
#include "godwit/log.h"
#include "machine/accelerator.h"
#include "machine/options.h"

namespace godwit {

/// Makes what the options want; where they leave it open, KVM if it works, else the emulator, and the log says which
/// and why. `log` outlives it. Errors: those of KVM and of the emulator.
Result<std::unique_ptr<Accelerator>> make_accelerator(const MachineOptions& options, Log& log);

}  // namespace godwit
