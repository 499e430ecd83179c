#pragma once

#include <cstdint>

#include "base/assert.h"
#include "godwit/block_device.h"

namespace godwit {

/// The contract of `BlockDevice` on offsets and lengths, checked where a device takes a request. `size` is the disk's.
inline void assert_on_disk(DiskOffset offset, std::uint64_t count, ByteCount size) {
    GODWIT_ASSERT(offset.value() % sector_bytes == 0 && count % sector_bytes == 0,
                  "{} bytes at {} are no whole sectors: who made the request must split it by sectors", count,
                  offset.value());
    GODWIT_ASSERT(offset.value() <= size.value() && count <= size.value() - offset.value(),
                  "{} bytes at {} reach past a disk of {} bytes: who made the request must check it", count,
                  offset.value(), size.value());
}

}  // namespace godwit
