#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "ram/record_decoder.h"

namespace godwit {

/// Counts the pages of a stream by block and kind, without a machine, and hands them on to somebody who wants them.
class RamCensus : public RamRecordVisitor {
public:
    struct Counts {
        std::uint64_t normal = 0;
        /// Of the records of whole pages, without the blocks' names.
        std::uint64_t normal_bytes = 0;
        std::uint64_t zero = 0;
        std::uint64_t xbzrle = 0;
        /// Of the records of deltas, without the blocks' names.
        std::uint64_t xbzrle_bytes = 0;

        Counts& operator+=(const Counts& other);
        bool operator==(const Counts&) const = default;
    };
    struct Block {
        std::string id;
        /// 0 when the stream lists no blocks.
        ByteCount size;
        Counts counts;
    };

    /// `next` may be null; what it objects to is an error of the stream.
    explicit RamCensus(RamRecordVisitor* next = nullptr) : next_(next) {}

    const std::vector<Block>& blocks() const { return blocks_; }
    /// Counts of the records since the last call.
    Counts take_recent();

private:
    Status listed_block(const std::string& id, ByteCount used_length) override;
    Status select_block(const std::string& id) override;
    Status zero_page(BlockOffset offset, std::uint8_t fill) override;
    Result<PageTarget> page_target(BlockOffset offset) override;
    void run_begins(PageCount pages) override;
    Result<PageTarget> run_target(BlockOffset offset, PageCount announced) override;
    Status pages_arrived(BlockOffset offset, PageCount count) override;
    Status overwritten_ahead(BlockOffset offset, PageCount count) override;
    Status xbzrle_page(BlockOffset offset, ConstBuffer encoded) override;

    Status check(BlockOffset offset) const;
    void count(const Counts& counts);

    RamRecordVisitor* const next_;
    static constexpr std::size_t max_blocks = 1024;
    std::vector<Block> blocks_;
    bool listed_ = false;
    std::size_t selected_ = 0;
    /// Pages that are still to come under the last head of a run.
    std::uint64_t run_left_ = 0;
    Counts recent_;
    std::array<std::byte, page_bytes> scratch_{};
};

}  // namespace godwit
