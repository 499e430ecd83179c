#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "ram/record_decoder.h"
#include "tools/stream_takers.h"

namespace godwit {

/// Knows which pages of a stream have come before: counts those that come again, by block, and the passes over memory.
/// A pass begins where the order of pages does. Memory that it needs: a bit for each page that came, within a limit.
class PageHistory : public RamTaker {
public:
    struct Block {
        std::string id;
        std::uint64_t pages_again = 0;
    };

    const std::vector<Block>& blocks() const { return blocks_; }
    /// Any thread.
    std::uint64_t passes() const { return passes_.load(); }
    /// All that came, again or not. Any thread.
    std::uint64_t pages() const { return pages_.load(); }
    /// False once there were more pages than are remembered: then more may have come again.
    bool is_complete() const { return complete_; }

    Status listed_block(const std::string& id, ByteCount used_length) override;
    Status select_block(const std::string& id) override;
    Status zero_page(BlockOffset offset, std::uint8_t fill) override;
    Result<PageTarget> page_target(BlockOffset offset) override;
    Status pages_arrived(BlockOffset offset, PageCount count) override;
    Status overwritten_ahead(BlockOffset, PageCount) override { return {}; }
    Status xbzrle_page(BlockOffset offset, ConstBuffer encoded) override;

private:
    /// A stretch of 128 MiB of guest memory.
    static constexpr std::uint64_t pages_per_stretch = 32 * 1024;
    using Stretch = std::bitset<pages_per_stretch>;
    /// 1 TiB of memory that is wholly there.
    static constexpr std::size_t max_stretches = 8 * 1024;
    static constexpr std::size_t max_blocks = 1024;

    void note(PageNumber page);
    bool was_there(PageNumber page);

    std::vector<Block> blocks_;
    std::vector<std::unordered_map<std::uint64_t, std::unique_ptr<Stretch>>> seen_;  // by block, then by stretch
    std::size_t stretches_ = 0;
    std::size_t selected_ = 0;
    std::size_t last_block_ = 0;
    PageNumber last_page_;
    std::atomic<std::uint64_t> passes_{0};
    std::atomic<std::uint64_t> pages_{0};
    bool complete_ = true;
    std::array<std::byte, page_bytes> scratch_{};
};

}  // namespace godwit
