#include "machine/virtio_blk_config.h"

#include <algorithm>
#include <cstring>

#include "godwit/block_device.h"
#include "machine/virtio_blk_request.h"

namespace godwit {

namespace {

// Offsets of the fields.
constexpr std::size_t capacity = 0;
constexpr std::size_t segment_maximum = 12;
constexpr std::size_t cylinders = 16;
constexpr std::size_t heads = 18;
constexpr std::size_t sectors = 19;
constexpr std::size_t block_size = 20;
constexpr std::size_t queues = 34;
constexpr std::size_t discard_sectors = 36;
constexpr std::size_t discard_segments = 40;
constexpr std::size_t discard_alignment = 44;
constexpr std::size_t zero_sectors = 48;
constexpr std::size_t zero_segments = 52;
constexpr std::size_t zero_may_unmap = 56;

/// The geometry that partition tools expect of a disk without one.
constexpr std::uint8_t usual_heads = 16;
constexpr std::uint8_t usual_sectors = 63;
constexpr std::uint64_t most_cylinders = 16383;

}  // namespace

VirtioBlkConfig::VirtioBlkConfig(ByteCount disk_size, std::uint16_t queue_size) {
    const std::uint64_t disk_sectors = disk_size.value() / sector_bytes;
    put<std::uint64_t>(capacity, disk_sectors);
    // A request has a header and a status besides its data.
    put<std::uint32_t>(segment_maximum, queue_size - 2U);
    const std::uint64_t tracks = disk_sectors / (usual_heads * usual_sectors);
    put<std::uint16_t>(cylinders, static_cast<std::uint16_t>(std::clamp<std::uint64_t>(tracks, 2, most_cylinders)));
    put<std::uint8_t>(heads, usual_heads);
    put<std::uint8_t>(sectors, usual_sectors);
    put<std::uint32_t>(block_size, sector_bytes);
    set_write_cache(true);
    put<std::uint16_t>(queues, 1);
    put<std::uint32_t>(discard_sectors, max_sectors_without_data);
    put<std::uint32_t>(discard_segments, 1);
    put<std::uint32_t>(discard_alignment, 1);
    put<std::uint32_t>(zero_sectors, max_sectors_without_data);
    put<std::uint32_t>(zero_segments, 1);
    put<std::uint8_t>(zero_may_unmap, 1);
}

template <typename T>
void VirtioBlkConfig::put(std::size_t offset, T value) {
    std::memcpy(raw_.data() + offset, &value, sizeof value);
}

}  // namespace godwit
