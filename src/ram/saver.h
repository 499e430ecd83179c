#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/bitmap.h"
#include "godwit/dirty_source.h"
#include "godwit/guest_memory.h"
#include "ram/page_sink.h"
#include "stream/writer.h"

namespace godwit {

/// Decides which pages leave: the source's side of RAM. It owns the set of pages that are still to be sent.
///
/// The order that keeps the copy right, per page: the dirty source's mark is cleared, then our bit, then the page is
/// read (zero check now, data when the sink flushes). A write that comes later is a new mark, found by the next
/// `collect`.
///
/// One thread saves; the counters may be read by any.
class RamSaver {
public:
    RamSaver(const GuestMemory& memory, DirtySource& dirty);

    /// Marks every page as to be sent; the pass that begins is the first.
    void mark_all();
    /// The destination's memory of this block reads as zeros and nothing has been sent for it: the first pass leaves
    /// out pages of zeros.
    void skip_zeros(std::size_t block) { skips_zeros_[block] = true; }
    /// Adds the pages written since the last time; the machine lock must be held. Returns how many were not yet to be
    /// sent.
    Result<PageCount> collect();
    /// Sends pages in order of their addresses, from where the last call stopped, until about `budget` bytes are
    /// queued, 64 MiB have been looked at, or the pass is over. Returns the bytes queued.
    Result<ByteCount> send(PageSink& sink, ByteCount budget);
    /// The pass has reached the end of the last block.
    bool pass_done() const { return block_ == bitmaps_.size(); }
    /// Starts again from the first block. From the second pass on, every page of zeros is sent.
    void begin_pass() {
        first_pass_ = false;
        rewind();
    }

    /// Writes the list of blocks (body of the START section, without the end record).
    void put_block_list(StreamWriter& writer) const;

    std::uint64_t remaining_pages() const { return remaining_pages_.load(); }
    std::uint64_t total_bytes() const { return total_bytes_; }
    std::uint64_t zero_pages() const { return zero_pages_.load(); }
    std::uint64_t normal_pages() const { return normal_pages_.load(); }
    /// Pages of which less than the whole had to be sent, or nothing.
    std::uint64_t delta_pages() const { return delta_pages_.load(); }
    std::uint64_t skipped_pages() const { return skipped_pages_.load(); }
    std::uint64_t sent_pages() const { return zero_pages() + normal_pages() + delta_pages(); }

private:
    /// Pages handled together at most: marks are cleared with one call for each such piece.
    static constexpr std::uint64_t chunk_pages = 1024;

    /// Sends pages of [first, end) until about `budget` bytes are queued, and moves `next_` on.
    Result<ByteCount> send_chunk(PageSink& sink, PageNumber first, PageNumber end, ByteCount budget);
    Status clear_marks(PageNumber first, PageNumber end);
    void rewind() {
        block_ = 0;
        next_ = PageNumber(0);
        data_.end = PageNumber(0);
    }

    const GuestMemory& memory_;
    DirtySource& dirty_;
    std::vector<PageBitmap> bitmaps_;
    std::vector<bool> skips_zeros_;
    bool first_pass_ = false;
    std::uint64_t total_bytes_ = 0;
    std::size_t block_ = 0;
    PageNumber next_;
    Extent data_{false, PageNumber(0)};              // known to be data up to its end, in block_
    std::atomic<std::uint64_t> remaining_pages_{0};  // written by the saving thread
    std::atomic<std::uint64_t> zero_pages_{0};       // written by the saving thread
    std::atomic<std::uint64_t> normal_pages_{0};     // written by the saving thread
    std::atomic<std::uint64_t> delta_pages_{0};      // written by the saving thread
    std::atomic<std::uint64_t> skipped_pages_{0};    // written by the saving thread
};

}  // namespace godwit
