#pragma once

#include <optional>
#include <string>

#include "godwit/channel.h"
#include "godwit/units.h"

namespace godwit::rdma {

/// Bytes of `memory`, which is page aligned, that would have to be allocated before they could be locked.
ByteCount not_resident(MutableBuffer memory);

/// What this process could still allocate without swapping: the host's estimate (MemAvailable), or what its control
/// group (version 2) leaves, whichever is less. Absent where the kernel does not tell.
std::optional<ByteCount> available_memory();

/// The same for a control group's folder; absent without a limit. For tests.
std::optional<ByteCount> available_in_group(const std::string& folder);

}  // namespace godwit::rdma
