#pragma once

#include <vector>

#include "godwit/error.h"
#include "machine/cpu_state.h"
#include "machine/emulator_engine.h"

namespace godwit {

// Segment registers have parts that only a descriptor table can set, and that Unicorn does not tell.

/// Loads all segments from a table that the engine sees for this moment only, outside of its memory; then the guest's
/// tables. The CPU is in protected mode. Errors: `device_state`, naming the
/// segment.
Status load_segments(EmulatorEngine& engine, const CpuState& state);

/// Finds the segments out; `state` has those that were loaded into this engine. A segment is what the guest's table
/// says under its selector, except where it cannot have been loaded from there: a selector and a table that are the
/// same as before mean that the segment is too, and so does a table without such a segment.
Status save_segments(const EmulatorEngine& engine, const std::vector<EmulatorMemory>& memory, CpuState& state);

}  // namespace godwit
