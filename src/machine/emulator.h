#pragma once

#include <cstdint>
#include <memory>

#include "godwit/error.h"
#include "godwit/log.h"
#include "machine/accelerator.h"
#include "machine/options.h"

namespace godwit {

/// Makes a machine whose CPU is emulated, by Unicorn: for places without KVM. It has one CPU, for guests in 32-bit
/// protected mode, without paging, that use neither interrupts nor exceptions; what the emulator does not
/// have (the interrupt controllers, the clock of KVM, most MSRs) is carried along. A guest that arrives and does not
/// fit is refused (`device_state`), one that starts to use something else ends with a failure of its CPU, and both say
/// what it was. `log` outlives the machine. Errors: `unsupported` when this program was built without Unicorn,
/// `invalid_argument` (number of CPUs).
Result<std::unique_ptr<Accelerator>> make_emulator(Log& log, std::uint32_t vcpu_count,
                                                   EmulatorTracking tracking = EmulatorTracking::automatic);

}  // namespace godwit
