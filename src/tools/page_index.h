#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tools/page_spill.h"
#include "tools/stream_takers.h"

namespace godwit {

/// Knows of each page of a saved stream where its last contents are: in the stream itself, or, where they came as a
/// change of what was there before, in a file beside it. Eight bytes of memory for each page that came, at most
/// `max_pages`. One thread.
class PageIndex : public RamTaker {
public:
    struct Entry {
        enum class Kind : std::uint8_t { never_sent, constant, in_stream, in_spill };
        Kind kind = Kind::never_sent;
        /// The byte that a constant page is full of, or where the page begins.
        std::uint64_t value = 0;
    };
    struct Block {
        std::string id;
        /// 0 when the stream lists no blocks.
        ByteCount size;
    };

    /// `spill` makes pages of changes and outlives this; null: only which pages came is of interest.
    explicit PageIndex(PageSpill* spill) : spill_(spill) {}

    /// In the order of the stream.
    const std::vector<Block>& blocks() const { return blocks_; }
    Entry entry(std::size_t block, PageNumber page) const;
    /// The first page of the next group (`group_pages` from a multiple of them on) in which pages came: the one of
    /// `page`, or one after it.
    std::optional<PageNumber> next_group(std::size_t block, PageNumber page) const;
    std::uint64_t pages_sent(std::size_t block) const { return sent_[block]; }

    static constexpr std::uint64_t group_pages = 64;
    static constexpr std::uint64_t max_pages = std::uint64_t{1} << 28;

    void begin(const StreamReader& reader) override { reader_ = &reader; }
    const Error* obstacle() const override { return obstacle_ ? &*obstacle_ : nullptr; }

private:
    using Group = std::array<std::uint64_t, group_pages>;
    using Groups = std::map<std::uint64_t, std::unique_ptr<Group>>;

    Status listed_block(const std::string& id, ByteCount used_length) override;
    Status select_block(const std::string& id) override;
    Status zero_page(BlockOffset offset, std::uint8_t fill) override;
    Result<PageTarget> page_target(BlockOffset offset) override;
    Status pages_arrived(BlockOffset offset, PageCount count) override;
    Status overwritten_ahead(BlockOffset, PageCount) override { return {}; }
    Status xbzrle_page(BlockOffset offset, ConstBuffer encoded) override;

    Result<std::uint64_t*> place(BlockOffset offset);
    Status put(BlockOffset offset, Entry entry);
    Status noted(Status status);

    PageSpill* const spill_;
    const StreamReader* reader_ = nullptr;
    std::vector<Block> blocks_;
    std::vector<Groups> groups_;       // of the block with the same index
    std::vector<std::uint64_t> sent_;  // of the block with the same index
    std::uint64_t group_count_ = 0;
    std::size_t selected_ = 0;
    std::pair<std::uint64_t, Group*> recent_{0, nullptr};  // of the selected block
    std::optional<Error> obstacle_;
    std::array<std::byte, page_bytes> scratch_{};
};

/// The contents that `entry` speaks of; a page that was never sent reads as zeros. Errors: `io`.
Status read_page(const PageSpill& spill, PageIndex::Entry entry, std::span<std::byte, page_bytes> page);

}  // namespace godwit
