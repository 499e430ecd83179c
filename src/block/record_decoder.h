#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "godwit/disk_write_tracker.h"
#include "godwit/units.h"
#include "stream/reader.h"

namespace godwit {

/// Gets the records of block sections, in order. An error ends the decoding. Names and offsets come as the stream has
/// them, except that a name is not empty and an offset is a multiple of the sector size, at most
/// `DiskRecordDecoder::max_offset_bytes`; whether there is such a disk, and how large it is, the visitor knows. Names
/// are valid during the call.
class DiskRecordVisitor {
public:
    virtual ~DiskRecordVisitor() = default;
    /// A chunk's data follows: where `DiskWriteTracker::chunk_bytes` go. That many come even where the disk ends within
    /// the chunk; what they are after the disk's end is undefined.
    virtual Result<std::span<std::byte>> chunk_target(std::string_view disk, DiskOffset offset) = 0;
    /// The data has arrived where `chunk_target` said.
    virtual Status chunk_arrived(std::string_view disk, DiskOffset offset) = 0;
    /// The chunk, as far as the disk reaches, reads as zeros.
    virtual Status zero_chunk(std::string_view disk, DiskOffset offset) = 0;
    /// How much of all disks the source has sent for the first time.
    virtual Status progress(unsigned percent) = 0;
};

/// Reads the records of block sections. Each record names its disk, so nothing carries over from one to the next.
class DiskRecordDecoder {
public:
    /// Leaves room for the chunk within what a signed file offset can say.
    static constexpr std::uint64_t max_offset_bytes =
        std::numeric_limits<std::int64_t>::max() - DiskWriteTracker::chunk_bytes;

    /// Reads up to and including the end-of-section record.
    Status decode_section(StreamReader& reader, DiskRecordVisitor& visitor);

private:
    Status decode_progress(std::uint64_t head, DiskRecordVisitor& visitor);
    Status decode_chunk(std::uint64_t head, StreamReader& reader, DiskRecordVisitor& visitor);
    Status read_data(std::string_view disk, DiskOffset offset, StreamReader& reader, DiskRecordVisitor& visitor);
};

}  // namespace godwit
