#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "godwit/guest_memory.h"
#include "ram/page_sink.h"
#include "ram/stream_page_sink.h"
#include "ram/xbzrle_cache.h"

namespace godwit {

/// Sends a page as the difference to what the destination has of it, where the cache still knows that and the
/// difference is shorter. For the passes after the first.
///
/// The guest may write at any time, so a page is copied first, and that copy is what is encoded, sent and cached:
/// cache and destination never disagree. One thread sends; the counters may be read by any.
class XbzrlePageSink : public PageSink {
public:
    XbzrlePageSink(StreamPageSink& plain, const GuestMemory& memory, XbzrleCache cache);

    ByteCount put_zero_page(std::size_t block, PageNumber page) override;
    PutPage put_page(std::size_t block, PageNumber page, const std::byte* host) override;
    void flush() override { plain_.flush(); }

    /// A pass begins; nothing is queued.
    void begin_pass() { ++pass_; }
    /// The guest is stopped and this is the last pass: pages are not copied, and nothing is cached any more.
    void begin_last_pass() {
        begin_pass();
        last_pass_ = true;
    }
    /// Nothing may be queued. Errors: as `XbzrleCache::resize`.
    Status resize(ByteCount cache_size) { return cache_.resize(cache_size); }
    ByteCount cache_size() const { return cache_.size(); }

    std::uint64_t delta_pages() const { return delta_pages_.load(); }  ///< sent as deltas
    std::uint64_t delta_bytes() const {
        return delta_bytes_.load();
    }  ///< size of their records without the blocks' names
    std::uint64_t unchanged_pages() const { return unchanged_pages_.load(); }
    std::uint64_t cache_misses() const { return cache_misses_.load(); }
    std::uint64_t overflows() const { return overflows_.load(); }  ///< the delta would have been longer than the page

private:
    std::uint64_t number_of(std::size_t block, PageNumber page) const { return first_page_[block] + page.value(); }
    PutPage put_uncached(std::size_t block, PageNumber page, const std::byte* host);

    StreamPageSink& plain_;
    XbzrleCache cache_;
    /// Number of each block's first page, when all pages of all blocks are numbered in a row.
    std::vector<std::uint64_t> first_page_;
    std::uint64_t pass_ = 0;
    bool last_pass_ = false;
    alignas(64) std::array<std::byte, page_bytes> copy_{};
    std::array<std::byte, page_bytes> delta_{};

    // Written by the sending thread.
    std::atomic<std::uint64_t> delta_pages_{0};
    std::atomic<std::uint64_t> delta_bytes_{0};
    std::atomic<std::uint64_t> unchanged_pages_{0};
    std::atomic<std::uint64_t> cache_misses_{0};
    std::atomic<std::uint64_t> overflows_{0};
};

}  // namespace godwit
