#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/bitmap.h"
#include "godwit/guest_memory.h"
#include "ram/record_decoder.h"

namespace godwit {

/// Puts the pages of a stream into guest memory: the destination's side of RAM. Everything is checked before memory is
/// touched. One thread loads; the counters may be read by any.
class RamLoader : private RamRecordVisitor {
public:
    explicit RamLoader(GuestMemory& memory);

    /// Loads one START, PART or END section. Errors: `ram_mismatch`, `stream_corrupt`, `memory`, those of the stream.
    Status load_section(StreamReader& reader);

    /// To be called at the end of the stream. Errors: `stream_corrupt` when a page was never sent that had to be.
    Status finish() const;

    std::uint64_t zero_pages() const { return zero_pages_.load(); }
    std::uint64_t normal_pages() const { return normal_pages_.load(); }

private:
    struct Block {
        /// Pages that a record has named.
        PageBitmap received;
        /// Pages whose contents were lost to a bet before any record named them.
        PageBitmap lost;
    };

    Status listed_block(const std::string& id, ByteCount used_length) override;
    Status select_block(const std::string& id) override;
    Status zero_page(BlockOffset offset, std::uint8_t fill) override;
    Result<PageTarget> page_target(BlockOffset offset) override;
    Status pages_arrived(BlockOffset offset, PageCount count) override;
    Status overwritten_ahead(BlockOffset offset, PageCount count) override;
    Status xbzrle_page(BlockOffset offset, ConstBuffer encoded) override;

    const RamBlock& block() const { return memory_.blocks()[selected_]; }
    Status check_offset(BlockOffset offset) const;
    std::size_t pages_ahead(PageNumber page);
    Status flush_zero_run();

    GuestMemory& memory_;
    RamRecordDecoder decoder_;
    std::vector<Block> blocks_;
    std::size_t selected_ = 0;

    // Zero pages that follow each other are handed to the memory together.
    PageNumber zero_run_first_;
    PageCount zero_run_count_;

    // How far to bet on pages in order: grows while bets are won, so that a stream out of order costs little.
    PageNumber expected_next_;
    std::size_t bet_pages_ = 0;

    std::atomic<std::uint64_t> zero_pages_{0};    // written by the loading thread
    std::atomic<std::uint64_t> normal_pages_{0};  // written by the loading thread
};

}  // namespace godwit
