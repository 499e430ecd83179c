#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/bitmap.h"
#include "godwit/direct_pages.h"
#include "godwit/guest_memory.h"
#include "ram/record_decoder.h"

namespace godwit {

/// Puts the pages of a stream into guest memory: the destination's side of RAM. Everything is checked before memory is
/// touched. One thread loads; the counters may be read by any.
class RamLoader : public RamRecordVisitor, private DirectPageTarget {
public:
    explicit RamLoader(GuestMemory& memory);
    /// For a channel that lets the source write pages past the stream; outlives the loading. Null: there is no such
    /// way.
    void set_direct_pages(DirectPageReceiver* receiver) { direct_ = receiver; }

    /// Loads one START, PART or END section. Errors: `ram_mismatch`, `stream_corrupt`, `memory`, those of the stream.
    Status load_section(StreamReader& reader);
    /// For one who decodes sections by himself and hands on what he finds: a section has ended. Errors: `memory`.
    Status end_section() { return flush_zero_run(); }

    /// To be called at the end of the stream. Errors: `ram_mismatch` when it had not every block, `stream_corrupt` when
    /// a page was never sent that had to be.
    Status finish();

    std::uint64_t zero_pages() const { return zero_pages_.load(); }
    std::uint64_t normal_pages() const { return normal_pages_.load(); }
    /// Pages that came as XBZRLE deltas, and the size of their records without the blocks' names.
    std::uint64_t delta_pages() const { return delta_pages_.load(); }
    std::uint64_t delta_bytes() const { return delta_bytes_.load(); }

private:
    struct Block {
        /// The source has said that it has this block, with this size.
        bool listed = false;
        /// Pages that a record has named.
        PageBitmap received;
        /// Pages that a lost bet has overwritten before any record named them. In fresh memory they are zeros again at
        /// the end, unless a record names them after all, as nearly always happens.
        PageBitmap lost;
    };

    Status listed_block(const std::string& id, ByteCount used_length) override;
    Status select_block(const std::string& id) override;
    Status zero_page(BlockOffset offset, std::uint8_t fill) override;
    Result<PageTarget> page_target(BlockOffset offset) override;
    Result<PageTarget> run_target(BlockOffset offset, PageCount announced) override;
    Status pages_arrived(BlockOffset offset, PageCount count) override;
    Status overwritten_ahead(BlockOffset offset, PageCount count) override;
    Status xbzrle_page(BlockOffset offset, ConstBuffer encoded) override;
    Status direct_pages() override;

    // What the source does past the stream, in loader_direct.cpp.
    Result<std::size_t> find_block(std::string_view id, ByteCount size) override;
    std::span<const RamBlock> blocks() const override { return memory_.blocks(); }
    void exposed(std::size_t block, PageNumber first, PageCount count) override;
    Status zero_pages(std::size_t block, PageNumber first, PageCount count, bool registered) override;
    void fill_with_zeros(std::size_t block, PageNumber page);

    const RamBlock& block() const { return memory_.blocks()[selected_]; }
    Status check_offset(BlockOffset offset) const;
    std::size_t pages_ahead(PageNumber page) const;
    Status flush_zero_run();

    GuestMemory& memory_;
    DirectPageReceiver* direct_ = nullptr;
    RamRecordDecoder decoder_;
    std::vector<Block> blocks_;
    std::size_t selected_ = 0;

    // Zero pages that follow each other are handed to the memory together.
    PageNumber zero_run_first_;
    PageCount zero_run_count_;

    // The pages in order that end before `run_end_`. A bet on the next ones is no longer than that, so that what a
    // lost bet costs stays in proportion to what bets have saved.
    PageNumber run_end_;
    std::uint64_t run_pages_ = 0;

    std::atomic<std::uint64_t> zero_pages_{0};    // written by the loading thread
    std::atomic<std::uint64_t> normal_pages_{0};  // written by the loading thread
    std::atomic<std::uint64_t> delta_pages_{0};   // written by the loading thread
    std::atomic<std::uint64_t> delta_bytes_{0};   // written by the loading thread
};

}  // namespace godwit
