#pragma once

#include <cstddef>

#include "godwit/units.h"
#include "rdma/messages.h"

namespace godwit::rdma {

/// Pages of one block that follow each other. `block` is the index in the source's list.
struct PageRun {
    std::size_t block = 0;
    PageNumber first;
    PageCount count;

    PageNumber end() const { return PageNumber(first.value() + count.value()); }
    ByteCount bytes() const { return ByteCount(count.value() * page_bytes); }
    bool overlaps(const PageRun& other) const {
        return block == other.block && first < other.end() && other.first < end();
    }
    /// Of a run that lies within one chunk.
    ChunkNumber chunk() const { return ChunkNumber(first.value() / chunk_pages); }
    /// Takes the page in if it is the next one.
    bool extend(std::size_t of_block, PageNumber page) {
        if (count.value() == 0 || of_block != block || page != end()) {
            return false;
        }
        count += PageCount(1);
        return true;
    }
};

}  // namespace godwit::rdma
