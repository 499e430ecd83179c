#pragma once

#include <optional>
#include <string_view>

#include "io/block_queue.h"
#include "machine/virtqueue.h"

namespace godwit {

/// What a request is checked against.
struct VirtioBlkLimits {
    ByteCount size;
    bool read_only = false;
    /// What `GET_ID` tells.
    std::string_view serial;
};

/// A driver's request, taken apart: either one for the disk, or an answer that needs none.
struct VirtioBlkRequest {
    /// Where the outcome is written to.
    std::byte* status = nullptr;
    /// All bytes that the driver lets the device write.
    std::uint32_t writable_bytes = 0;
    /// How many of them, from the first on and besides the status, the request may change.
    std::uint64_t filled_bytes = 0;
    std::optional<BlockRequest> work;
    /// Without `work`.
    std::uint8_t answer = 0;
};

/// Most sectors that one request discards or makes zero.
inline constexpr std::uint32_t max_sectors_without_data = 0x3fffff;
/// Longest request with data.
inline constexpr std::uint64_t max_data_bytes = std::uint64_t{1} << 30;
/// Longest chain: one with more data than that is answered, as long as it could come from a driver that works.
inline constexpr std::uint64_t max_chain_bytes = max_data_bytes + (std::uint64_t{1} << 20);

/// Errors: `device_state` for a chain that has no room for header and status (the device cannot even answer it) or is
/// longer than `max_chain_bytes`. The answer to `GET_ID` is written to the chain's buffers.
Result<VirtioBlkRequest> parse_virtio_blk_request(const DescriptorChain& chain, const VirtioBlkLimits& limits);

}  // namespace godwit
