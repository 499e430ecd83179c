#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "godwit/error.h"
#include "godwit/units.h"

namespace godwit {

/// Sizes of disks and offsets on them are multiples of this.
inline constexpr std::uint64_t sector_bytes = 512;

/// What a stretch of a disk is made of.
enum class DiskContent {
    data,   ///< written to this layer; may be anything
    zeros,  ///< belongs to this layer and reads as zeros, without taking any room
    base,   ///< not in this layer: reads as what is below it; as zeros where there is nothing below
};

/// A stretch of a disk whose content is of one kind.
struct DiskExtent {
    DiskContent content = DiskContent::data;
    /// First byte after the stretch.
    DiskOffset end;
    /// With `base`: it is known to read as zeros through all layers.
    bool reads_as_zeros = false;
};

/// A disk image: what a guest sees as one disk. It may have several layers, of which only the topmost is written to.
///
/// Offsets and lengths are multiples of `sector_bytes` and lie within the disk: the caller has seen to that. All calls
/// may be made by any thread, several at a time, and wait until they are done; what overlaps in time has no order.
/// Errors have the code `disk` and name the disk's file or address and what the system said.
class BlockDevice {
public:
    virtual ~BlockDevice() = default;
    /// Does not change.
    virtual ByteCount size() const = 0;
    virtual bool is_read_only() const = 0;
    /// Takes the locks that say that the image is in use: before a guest, or an incoming migration, may write to it.
    /// Idempotent. An error names the image that somebody else has.
    virtual Status lock() { return {}; }
    /// Gives them back. Idempotent.
    virtual void unlock() {}
    /// Names the image across hosts where that is possible; two disks with the same, unless it is empty, are one image.
    virtual std::string identity() const { return {}; }
    /// Through all layers.
    virtual Status read(DiskOffset offset, std::span<std::byte> bytes) = 0;
    virtual Status write(DiskOffset offset, std::span<const std::byte> bytes) = 0;
    /// Makes a stretch read as zeros, in the cheapest way there is: without taking room where that can be had.
    virtual Status write_zeroes(DiskOffset offset, ByteCount count) = 0;
    /// The content of a stretch is of no use any more; it may read as anything after that.
    virtual Status discard(DiskOffset offset, ByteCount count) = 0;
    /// Everything written before is durable afterwards.
    virtual Status flush() = 0;
    /// Begins to write back what has been written, so that a later `flush` takes less time. Does not wait.
    virtual void begin_flush() {}
    /// What lies at `offset`, which is smaller than the size; the stretch may be a part of a longer one. Where it is
    /// not known, `data` to the end of the disk.
    virtual Result<DiskExtent> extent_at(DiskOffset offset) = 0;
};

}  // namespace godwit
