#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "godwit/units.h"

namespace godwit {

/// The configuration space of a virtio disk (virtio 1.2, 5.2.4), little-endian as the guest reads it.
class VirtioBlkConfig {
public:
    /// To the end of the fields for WRITE_ZEROES.
    static constexpr std::size_t bytes = 57;
    static constexpr std::size_t write_cache_offset = 32;

    /// A disk with one queue of `queue_size` descriptors and a write cache.
    VirtioBlkConfig(ByteCount disk_size, std::uint16_t queue_size);

    std::span<const std::uint8_t, bytes> raw() const { return raw_; }
    bool write_cache() const { return raw_[write_cache_offset] != 0; }
    void set_write_cache(bool on) { raw_[write_cache_offset] = on ? 1 : 0; }

private:
    template <typename T>
    void put(std::size_t offset, T value);

    std::array<std::uint8_t, bytes> raw_{};
};

}  // namespace godwit
