#pragma once

#include <functional>
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
    /// Locks all pieces, or none; memory that was never used is allocated for it, which can take seconds. `go_on` is
    /// asked now and then, and what it fails with ends it. When the lock ends, memory that somebody else had locked
    /// before is unlocked too: mlock does not count. Errors: `cannot_pin`, which says how much is needed, how much is
    /// allowed and which limit to raise, or that the host has too little memory left.
    static Result<std::unique_ptr<MemoryLock>> lock(
        const std::vector<MutableBuffer>& pieces, const std::function<Status()>& go_on = [] { return Status(); });
};

/// How many bytes this process may lock (RLIMIT_MEMLOCK, unless it has CAP_IPC_LOCK); absent: without limit.
std::optional<ByteCount> pin_limit();

}  // namespace godwit::rdma
