#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "godwit/disk_write_tracker.h"

namespace godwit {

/// Memory for one chunk, which begins on a page. It takes none before it is asked for. One thread.
class ChunkBuffer {
public:
    std::span<std::byte> chunk() {
        constexpr std::size_t chunk_bytes = DiskWriteTracker::chunk_bytes;
        memory_.resize(chunk_bytes + page_bytes);
        void* begin = memory_.data();
        std::size_t space = memory_.size();
        return {static_cast<std::byte*>(std::align(page_bytes, chunk_bytes, begin, space)), chunk_bytes};
    }

private:
    std::vector<std::byte> memory_;
};

}  // namespace godwit
