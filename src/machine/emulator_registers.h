#pragma once

#include <vector>

#include "godwit/error.h"
#include "machine/cpu_state.h"
#include "machine/emulator_engine.h"

namespace godwit {

// A CPU's state between its layout and Unicorn's registers. What Unicorn does not hold stays as it is in a `CpuState`.

/// Whether the emulator can go on with such a CPU. The interrupt controllers are not looked at. Errors: `device_state`,
/// naming what it cannot do.
Status check_emulable(const VcpuState& state);

/// Into an engine that was opened a moment ago and has no devices yet. Errors: `device_state`.
Status load_engine(EmulatorEngine& engine, const CpuState& state);
/// `state` is what was loaded into this engine before it ran, and becomes what it has now. After an error
/// (`device_state`) it is unchanged.
Status save_engine(const EmulatorEngine& engine, const std::vector<EmulatorMemory>& memory, CpuState& state);

}  // namespace godwit
