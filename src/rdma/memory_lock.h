#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "godwit/channel.h"
#include "godwit/error.h"
#include "godwit/units.h"

namespace godwit::rdma {

/// Keeps memory in RAM (mlock) while it exists: what `rdma-pin-all` promises on every transport.
class MemoryLock {
public:
    virtual ~MemoryLock() = default;
    /// Locks all pieces, or none. Errors: `cannot_pin`, which says how much is needed, how much is allowed, and which
    /// limit to raise.
    static Result<std::unique_ptr<MemoryLock>> lock(const std::vector<MutableBuffer>& pieces);
};

/// How many bytes this process may lock (RLIMIT_MEMLOCK, unless it has CAP_IPC_LOCK); absent: without limit.
std::optional<ByteCount> pin_limit();

}  // namespace godwit::rdma
