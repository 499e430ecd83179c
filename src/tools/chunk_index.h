#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/stream_takers.h"

namespace godwit {

/// Knows of each chunk of the disks in a saved stream where in the stream its last contents are. One thread.
class ChunkIndex : public DiskTaker {
public:
    /// Where a chunk's data begin; nothing for one of zeros.
    using Place = std::optional<std::uint64_t>;
    /// By the chunk's number.
    using Chunks = std::map<std::uint64_t, Place>;

    const std::map<std::string, Chunks, std::less<>>& disks() const { return disks_; }

    void begin(const StreamReader& reader) override { reader_ = &reader; }

private:
    Result<std::span<std::byte>> chunk_target(std::string_view disk, DiskOffset offset) override;
    Status chunk_arrived(std::string_view disk, DiskOffset offset) override;
    Status zero_chunk(std::string_view disk, DiskOffset offset) override;
    Status progress(unsigned) override { return {}; }

    Status put(std::string_view disk, DiskOffset offset, Place place);

    const StreamReader* reader_ = nullptr;
    std::map<std::string, Chunks, std::less<>> disks_;
    std::vector<std::byte> scratch_;  // a chunk, once there is one
};

}  // namespace godwit
