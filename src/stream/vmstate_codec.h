#pragma once

#include <cstdint>

#include "godwit/vmstate.h"
#include "stream/reader.h"
#include "stream/writer.h"

namespace godwit {

/// Writes the structure at `data` as `layout` says: the fields in order, then the subsections that are needed.
void save_vmstate(const VmState& layout, const void* data, StreamWriter& writer);

/// Reads what `save_vmstate` wrote into the structure at `data`, which may be half filled after an error. `version` is
/// the sender's. Errors: `section_version`, `device_state` (unknown subsection, a bool that is neither 0 nor 1, a
/// buffer longer than its room, a check that fails), those of the stream.
Status load_vmstate(const VmState& layout, void* data, std::uint32_t version, StreamReader& reader);

/// Bytes of the fields on the wire, without the layout's own subsections. `data` is the structure; without one, the
/// most that they can be, and no subsections of nested structures.
std::uint64_t vmstate_wire_bytes(const VmState& layout, const void* data = nullptr);

/// The same with those of the layout's subsections that travel.
std::uint64_t vmstate_total_bytes(const VmState& layout, const void* data);

}  // namespace godwit
