#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "godwit/guest_memory.h"
#include "sim/world.h"

namespace godwit::sim {

/// Page-aligned bytes; reused from run to run, as mapping them costs more than a small run.
class BufferPool {
public:
    struct Free {
        void operator()(std::byte* bytes) const;
    };
    using Buffer = std::unique_ptr<std::byte[], Free>;

    Buffer take(std::size_t bytes);
    void give_back(Buffer buffer, std::size_t bytes);

private:
    struct Entry {
        Buffer buffer;
        std::size_t bytes;
    };
    std::vector<Entry> free_;
};

struct BlockPlan {
    std::string id;
    std::uint64_t pages = 0;
};

/// What a node's memory holds at the beginning.
enum class InitialContent {
    fresh,    ///< zeros that nothing was ever written to
    zeros,    ///< zeros, but not known to be
    garbage,  ///< something that a page which is not loaded would show
};

/// A few small RAM blocks.
class SimMemory : public GuestMemory {
public:
    SimMemory(World& world, BufferPool& pool, const std::vector<BlockPlan>& plan, InitialContent content,
              bool knows_holes);
    ~SimMemory() override;

    std::span<const RamBlock> blocks() const override { return blocks_; }
    Extent extent_at(std::size_t block, PageNumber page) const override;
    Status make_zero(std::size_t block, PageNumber first, PageCount count) override;

    std::byte* page(std::size_t block, std::uint64_t number) const { return blocks_[block].host + number * page_bytes; }
    std::uint64_t pages(std::size_t block) const { return blocks_[block].size.value() / page_bytes; }
    std::uint64_t total_pages() const;
    /// The index of the block of this name, which must exist.
    std::size_t find(std::string_view id) const;
    /// Where two memories of the same shape differ, in words; empty if they do not.
    std::string difference(const SimMemory& other) const;
    /// A source's memory must only be read.
    void forbid_zeroing(bool forbidden) { zeroing_forbidden_ = forbidden; }

    /// A device holds the addresses of these pages, or does not any more: meanwhile they must stay where they are.
    void pin(std::size_t block, std::uint64_t first, std::uint64_t count, bool pinned);
    void unpin_all();
    std::uint64_t pinned_pages() const;

private:
    bool is_zero(std::size_t block, std::uint64_t number) const;

    World& world_;
    BufferPool& pool_;
    std::vector<BufferPool::Buffer> buffers_;
    std::vector<RamBlock> blocks_;
    std::vector<std::vector<bool>> pinned_;
    bool knows_holes_;
    bool zeroing_forbidden_ = false;
};

}  // namespace godwit::sim
