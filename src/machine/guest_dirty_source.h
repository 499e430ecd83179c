#pragma once

#include <cstddef>
#include <cstdint>

#include "godwit/dirty_source.h"
#include "godwit/units.h"

namespace godwit {

/// A memory slot that shows a part of a block. Where a slot begins within its block is a multiple of 64 pages.
struct RamSlot {
    std::uint32_t slot = 0;
    std::size_t block = 0;
    BlockOffset offset;
    ByteCount size;
};

/// Knows which pages of guest memory were written: by the guest's CPUs, which it sees itself, and by this program,
/// which tells it.
class GuestDirtySource : public DirtySource {
public:
    /// Tells that this program has written to pages which the guest sees: call it after the writing. Pages must lie
    /// within the block's slots. Any thread, whether tracking is on or not.
    virtual void mark(std::size_t block, PageNumber first, PageCount count) = 0;
};

}  // namespace godwit
