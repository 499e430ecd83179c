#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "godwit/channel.h"
#include "godwit/error.h"
#include "godwit/units.h"

namespace godwit {

/// An address in the memory of the peer's process.
struct RemoteAddress {
    std::uint64_t value = 0;
    RemoteAddress operator+(std::uint64_t bytes) const { return {value + bytes}; }
    bool operator==(const RemoteAddress&) const = default;
};

/// Longest key of registered memory and longest address of a fabric's end that are taken from a peer. UCX makes keys of
/// 10 to about 100 bytes and addresses of some hundred.
inline constexpr std::size_t max_key_bytes = 256;
inline constexpr std::size_t max_fabric_address_bytes = 4096;

/// Memory of this process that a peer may write to, while this object exists.
class RegisteredMemory {
public:
    virtual ~RegisteredMemory() = default;
    /// What the peer needs; at most `max_key_bytes`.
    virtual ConstBuffer key() const = 0;
};

/// A peer's registered memory, as its key describes it.
class RemoteMemory {
public:
    virtual ~RemoteMemory() = default;
};

/// For sides whose fabric pins nothing.
inline constexpr ByteCount no_registration_limit{std::numeric_limits<std::uint64_t>::max()};

/// Chosen by who starts a write; told again when it is finished.
using WriteId = std::uint64_t;

/// One end of a network with one-sided writes. The source connects to the address of the destination's end and writes;
/// the destination registers memory and, while it is to be written to, calls `progress`.
///
/// One thread at a time. A peer that is gone shows as an error or not at all: who waits has to know from elsewhere.
/// Errors are `io`, in the library's words, unless a fabric says otherwise.
class Fabric {
public:
    virtual ~Fabric() = default;

    /// Where a peer connects to; at most `max_fabric_address_bytes`.
    virtual ConstBuffer address() const = 0;
    /// Source, once. `peer` is not trusted.
    virtual Status connect(ConstBuffer peer) = 0;

    /// `memory` is page aligned and stays mapped. What is returned dies before the fabric.
    virtual Result<std::unique_ptr<RegisteredMemory>> register_memory(MutableBuffer memory) = 0;
    /// Source, once connected. `key` is not trusted. What is returned dies before the fabric.
    virtual Result<std::unique_ptr<RemoteMemory>> open_key(ConstBuffer key) = 0;

    /// Begins to write; `from` stays mapped until the id has come back from `progress`. Writes are not ordered.
    virtual Status start_write(ConstBuffer from, RemoteAddress to, const RemoteMemory& memory, WriteId id) = 0;
    /// Begins to see to it that all writes that were started are in the peer's memory, not just on their way; its id
    /// comes back when they are.
    virtual Status start_flush(WriteId id) = 0;
    /// Moves things on without waiting, and appends the ids of what is finished. False: there was nothing to do. The
    /// first failed write is the error.
    virtual Result<bool> progress(std::vector<WriteId>& finished) = 0;

    /// Readable (POLLIN) when `progress` has something to do, after `arm`.
    virtual int descriptor() const = 0;
    /// To be called before waiting for `descriptor`. False: do not wait, call `progress`.
    virtual bool arm() = 0;
};

}  // namespace godwit
