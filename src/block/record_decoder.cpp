#include "block/record_decoder.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "stream/format.h"

namespace godwit {

using namespace format;

Status DiskRecordDecoder::decode_section(StreamReader& reader, DiskRecordVisitor& visitor) {
    // Bounded by the stream: every record consumes bytes, and a stream that has ended makes the reader fail.
    for (;;) {
        const std::uint64_t head = reader.get_u64();
        if (!reader.ok()) {
            return reader.status();
        }
        if (head == disk_flag::eos) {
            return {};
        }
        const std::uint64_t flags = head & disk_flag::all;
        if (flags != disk_flag::progress && (flags & disk_flag::chunk) == 0) {
            return fail(ErrorCode::stream_corrupt,
                        fmt::format("disk record with unknown flags 0x{:x} at offset 0x{:x} of an unnamed disk", flags,
                                    head & ~disk_flag::all),
                        "the source uses a feature that is not supported here, or its stream is damaged");
        }
        Status done =
            flags == disk_flag::progress ? decode_progress(head, visitor) : decode_chunk(head, reader, visitor);
        if (!done) {
            return done;
        }
    }
}

Status DiskRecordDecoder::decode_progress(std::uint64_t head, DiskRecordVisitor& visitor) {
    const std::uint64_t percent = head >> disk_flag::progress_shift;
    if (percent > 100) {
        return fail(ErrorCode::stream_corrupt, fmt::format("the disks are said to be sent to {} %", percent));
    }
    return visitor.progress(static_cast<unsigned>(percent));
}

Status DiskRecordDecoder::decode_chunk(std::uint64_t head, StreamReader& reader, DiskRecordVisitor& visitor) {
    const std::uint64_t flags = head & disk_flag::all;
    const DiskOffset offset(head & ~disk_flag::all);
    const std::string disk = reader.get_string8();
    if (!reader.ok()) {
        return reader.status();
    }
    const auto corrupt = [&](const std::string& what) {
        return fail(ErrorCode::stream_corrupt,
                    fmt::format("record of disk \"{}\" at offset 0x{:x}: {}", disk, offset.value(), what));
    };
    if (disk.empty()) {
        return corrupt("the disk's name is empty");
    }
    if ((flags & ~(disk_flag::chunk | disk_flag::zero)) != 0) {
        return corrupt(fmt::format("unknown flags 0x{:x}", flags));
    }
    if (offset.value() > max_offset_bytes) {
        return corrupt("no disk is that large");
    }
    return (flags & disk_flag::zero) != 0 ? visitor.zero_chunk(disk, offset) : read_data(disk, offset, reader, visitor);
}

Status DiskRecordDecoder::read_data(std::string_view disk, DiskOffset offset, StreamReader& reader,
                                    DiskRecordVisitor& visitor) {
    Result<std::span<std::byte>> target = visitor.chunk_target(disk, offset);
    if (!target) {
        return fail(target.error());
    }
    GODWIT_ASSERT(target->size() == DiskWriteTracker::chunk_bytes, "a chunk is to go to {} bytes", target->size());
    reader.get_bytes(*target);
    return reader.ok() ? visitor.chunk_arrived(disk, offset) : reader.status();
}

}  // namespace godwit
