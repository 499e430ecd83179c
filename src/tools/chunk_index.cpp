#include "tools/chunk_index.h"

#include <fmt/format.h>

namespace godwit {
namespace {

constexpr std::uint64_t chunk_bytes = DiskWriteTracker::chunk_bytes;

}  // namespace

Status ChunkIndex::put(std::string_view disk, DiskOffset offset, Place place) {
    if (offset.value() % chunk_bytes != 0) {
        return fail(ErrorCode::unsupported,
                    fmt::format("disk \"{}\" has a chunk at byte {}, which is no multiple of {}: such disks cannot be "
                                "compared",
                                disk, offset.value(), chunk_bytes));
    }
    auto found = disks_.find(disk);
    if (found == disks_.end()) {
        found = disks_.emplace(std::string(disk), Chunks()).first;
    }
    found->second[offset.value() / chunk_bytes] = place;
    return {};
}

Result<std::span<std::byte>> ChunkIndex::chunk_target(std::string_view, DiskOffset) {
    scratch_.resize(chunk_bytes);
    return std::span(scratch_);
}

Status ChunkIndex::chunk_arrived(std::string_view disk, DiskOffset offset) {
    return put(disk, offset, reader_->position() - chunk_bytes);
}

Status ChunkIndex::zero_chunk(std::string_view disk, DiskOffset offset) {
    return put(disk, offset, std::nullopt);
}

}  // namespace godwit
