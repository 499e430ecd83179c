#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "godwit/error.h"
#include "godwit/units.h"

namespace godwit {

/// A contiguous piece of guest memory that moves under a name.
struct RamBlock {
    /// Unique name on the wire, 1 to 255 bytes ("microvm.ram").
    std::string id;
    /// Where this process sees it; page aligned.
    std::byte* host = nullptr;
    /// A multiple of `page_bytes`.
    ByteCount size;
    /// Nothing was ever written to it or loaded into it: it reads as zeros everywhere. A destination says so in its
    /// manifest.
    bool fresh = false;
};

/// Pages of one block that are alike: either without backing store (they read as zeros) or possibly with data.
struct Extent {
    bool hole = false;
    /// First page after the extent.
    PageNumber end;
};

/// The memory that moves. The list of blocks does not change while a migration runs.
class GuestMemory {
public:
    virtual ~GuestMemory() = default;
    virtual std::span<const RamBlock> blocks() const = 0;

    /// Tells whether `page` lies in a hole, without reading (and so allocating) it. Where that cannot be known cheaply
    /// the answer is data up to the end of the block. A page told to be a hole may get data at any time after.
    virtual Extent extent_at(std::size_t block, PageNumber page) const = 0;

    /// Makes pages read as zeros. Pages that already do are not touched and nothing is allocated for them.
    virtual Status make_zero(std::size_t block, PageNumber first, PageCount count) = 0;

    /// `copies` will hold copies of many pages: where guest memory is kept out of core dumps it is too, for as long as
    /// it is mapped. Any thread.
    virtual void hide_copies(std::span<std::byte> copies) const { (void)copies; }
};

}  // namespace godwit
