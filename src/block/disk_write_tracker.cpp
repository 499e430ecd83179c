#include "godwit/disk_write_tracker.h"

#include <bit>

#include "base/assert.h"

namespace godwit {

namespace {

constexpr std::uint64_t word_bits = 64;

std::uint64_t mask_of(std::uint64_t chunk) {
    return std::uint64_t{1} << (chunk % word_bits);
}

}  // namespace

DiskWriteTracker::DiskWriteTracker(ByteCount disk_size)
    : chunks_((disk_size.value() + chunk_bytes - 1) / chunk_bytes), words_((chunks_ + word_bits - 1) / word_bits) {}

void DiskWriteTracker::written(DiskOffset offset, ByteCount count) {
    if (!tracking_ || count.value() == 0) {
        return;
    }
    const std::uint64_t first = offset.value() / chunk_bytes;
    const std::uint64_t last = (offset.value() + count.value() - 1) / chunk_bytes;
    GODWIT_ASSERT(last < chunks_, "a write ends in chunk {} of a disk of {} chunks", last, chunks_);
    for (std::uint64_t chunk = first; chunk <= last; ++chunk) {
        std::atomic<std::uint64_t>& word = words_[chunk / word_bits];
        if ((word.load() & mask_of(chunk)) != 0) {
            continue;  // whoever takes that mark reads the chunk later, and so what was written
        }
        ++marked_;  // first: whoever takes the mark at once must not count below nothing
        if ((word.fetch_or(mask_of(chunk)) & mask_of(chunk)) != 0) {
            --marked_;
        }
    }
}

void DiskWriteTracker::start() {
    tracking_ = false;
    for (std::uint64_t chunk = next_marked(0); chunk < chunks_; chunk = next_marked(chunk)) {
        take(chunk);
    }
    tracking_ = true;
}

bool DiskWriteTracker::take(std::uint64_t chunk) {
    GODWIT_ASSERT(chunk < chunks_, "chunk {} of a disk of {} chunks", chunk, chunks_);
    if ((words_[chunk / word_bits].fetch_and(~mask_of(chunk)) & mask_of(chunk)) == 0) {
        return false;
    }
    --marked_;
    return true;
}

std::uint64_t DiskWriteTracker::next_marked(std::uint64_t from) const {
    while (from < chunks_) {
        const std::uint64_t word = words_[from / word_bits].load() >> (from % word_bits);
        if (word != 0) {
            return from + static_cast<std::uint64_t>(std::countr_zero(word));
        }
        from = (from / word_bits + 1) * word_bits;
    }
    return chunks_;
}

}  // namespace godwit
