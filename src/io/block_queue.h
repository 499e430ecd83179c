#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "godwit/block_device.h"

namespace godwit {

/// One request of a guest to its disk.
struct BlockRequest {
    enum class Kind { read, write, flush, discard, write_zeroes };

    Kind kind = Kind::flush;
    DiskOffset offset;
    /// Of `discard` and `write_zeroes`.
    ByteCount count;
    /// Of `read` and `write`: memory that stays mapped until the completion. Each a multiple of the sector size only
    /// in sum.
    std::vector<std::span<std::byte>> buffers;
    /// Given back with the completion.
    std::uint64_t token = 0;
};

struct BlockCompletion {
    std::uint64_t token = 0;
    Status status;
};

/// Carries out requests to one disk at the same time, in no order of their own; a `flush` covers what had completed
/// when it was submitted. Destroying it waits for what is in flight. All calls belong to one thread.
class BlockQueue {
public:
    static constexpr std::size_t max_in_flight = 256;

    virtual ~BlockQueue() = default;
    /// Takes a request; at most `max_in_flight` may be under way. Errors of the request itself come with its
    /// completion.
    virtual void submit(BlockRequest request) = 0;
    /// Readable (for poll) while `take_completions` has something to give; sometimes when it has not, until it is
    /// called.
    virtual int descriptor() const = 0;
    /// What has completed since the last time; does not wait.
    virtual std::vector<BlockCompletion> take_completions() = 0;
    virtual std::size_t in_flight() const = 0;
};

/// A disk image of this host.
class HostBlockDevice : public BlockDevice {
public:
    /// A queue to this disk, in the fastest way there is for it. The disk outlives it. Errors: `disk`.
    virtual Result<std::unique_ptr<BlockQueue>> open_queue() = 0;
    /// Whether the program, as it is now, may open what `lock` opens anew: it may have become another user since the
    /// disk was opened. Errors: `disk`, naming the file.
    virtual Status check_openable() { return {}; }
};

}  // namespace godwit
