#include "sim/sim_memory.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "base/assert.h"

namespace godwit::sim {

void BufferPool::Free::operator()(std::byte* bytes) const {
    std::free(bytes);
}

BufferPool::Buffer BufferPool::take(std::size_t bytes) {
    // Few sizes, so that what was given back fits again.
    const std::size_t rounded = std::bit_ceil(bytes);
    const auto found =
        std::find_if(free_.begin(), free_.end(), [&](const Entry& entry) { return entry.bytes == rounded; });
    if (found != free_.end()) {
        Buffer buffer = std::move(found->buffer);
        *found = std::move(free_.back());
        free_.pop_back();
        return buffer;
    }
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(page_bytes, rounded));
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return Buffer(memory);
}

void BufferPool::give_back(Buffer buffer, std::size_t bytes) {
    constexpr std::size_t most_buffers = 64;
    if (free_.size() < most_buffers) {
        free_.push_back(Entry{std::move(buffer), std::bit_ceil(bytes)});
    }
}

SimMemory::SimMemory(World& world, BufferPool& pool, const std::vector<BlockPlan>& plan, InitialContent content,
                     bool knows_holes)
    : world_(world), pool_(pool), knows_holes_(knows_holes) {
    for (const BlockPlan& block : plan) {
        const std::size_t bytes = static_cast<std::size_t>(block.pages * page_bytes);
        buffers_.push_back(pool_.take(bytes));
        std::memset(buffers_.back().get(), content == InitialContent::garbage ? 0xa5 : 0, bytes);
        blocks_.push_back(
            RamBlock{block.id, buffers_.back().get(), ByteCount(bytes), content == InitialContent::fresh});
        pinned_.emplace_back(block.pages, false);
    }
}

SimMemory::~SimMemory() {
    for (std::size_t i = 0; i < buffers_.size(); ++i) {
        pool_.give_back(std::move(buffers_[i]), static_cast<std::size_t>(blocks_[i].size.value()));
    }
}

bool SimMemory::is_zero(std::size_t block, std::uint64_t number) const {
    static constexpr std::array<std::byte, page_bytes> zeros{};
    return std::memcmp(page(block, number), zeros.data(), page_bytes) == 0;
}

Extent SimMemory::extent_at(std::size_t block, PageNumber first) const {
    if (block >= blocks_.size() || first.value() >= pages(block)) {
        world_.violation(fmt::format("extent_at block {} page {}", block, first.value()));
        return Extent{};
    }
    if (!knows_holes_) {
        return Extent{false, PageNumber(pages(block))};
    }
    const bool hole = is_zero(block, first.value());
    std::uint64_t end = first.value() + 1;
    while (end < pages(block) && is_zero(block, end) == hole) {
        ++end;
    }
    return Extent{hole, PageNumber(end)};
}

Status SimMemory::make_zero(std::size_t block, PageNumber first, PageCount count) {
    if (zeroing_forbidden_) {
        world_.violation("make_zero on a source's memory");
    }
    if (block >= blocks_.size() || first.value() + count.value() > pages(block)) {
        world_.violation(fmt::format("make_zero block {} page {} count {}", block, first.value(), count.value()));
        return fail(ErrorCode::memory, "make_zero: out of range");
    }
    const auto begin = pinned_[block].begin() + static_cast<std::ptrdiff_t>(first.value());
    if (std::find(begin, begin + static_cast<std::ptrdiff_t>(count.value()), true) !=
        begin + static_cast<std::ptrdiff_t>(count.value())) {
        world_.violation(fmt::format("make_zero moves pages to which a device writes: block {} page {} count {}", block,
                                     first.value(), count.value()));
    }
    std::memset(page(block, first.value()), 0, static_cast<std::size_t>(count.value() * page_bytes));
    return {};
}

void SimMemory::pin(std::size_t block, std::uint64_t first, std::uint64_t count, bool pinned) {
    GODWIT_ASSERT(block < pinned_.size() && first + count <= pinned_[block].size(), "no pages {}+{} of block {}", first,
                  count, block);
    std::fill_n(pinned_[block].begin() + static_cast<std::ptrdiff_t>(first), count, pinned);
}

void SimMemory::unpin_all() {
    for (std::vector<bool>& block : pinned_) {
        std::fill(block.begin(), block.end(), false);
    }
}

std::uint64_t SimMemory::pinned_pages() const {
    std::uint64_t total = 0;
    for (const std::vector<bool>& block : pinned_) {
        total += static_cast<std::uint64_t>(std::count(block.begin(), block.end(), true));
    }
    return total;
}

std::uint64_t SimMemory::total_pages() const {
    std::uint64_t total = 0;
    for (std::size_t block = 0; block < blocks_.size(); ++block) {
        total += pages(block);
    }
    return total;
}

std::size_t SimMemory::find(std::string_view id) const {
    std::size_t block = 0;
    while (block < blocks_.size() && blocks_[block].id != id) {
        ++block;
    }
    GODWIT_ASSERT(block < blocks_.size(), "no RAM block {}", id);
    return block;
}

std::string SimMemory::difference(const SimMemory& other) const {
    std::uint64_t wrong_pages = 0;
    std::string first;
    for (std::size_t block = 0; block < blocks_.size(); ++block) {
        const std::size_t same = other.find(blocks_[block].id);
        if (pages(block) != other.pages(same)) {
            return "different sizes";
        }
        for (std::uint64_t number = 0; number < pages(block); ++number) {
            const std::byte* mine = page(block, number);
            const std::byte* theirs = other.page(same, number);
            if (std::memcmp(mine, theirs, page_bytes) != 0 && wrong_pages++ == 0) {
                const auto at = std::mismatch(mine, mine + page_bytes, theirs).first - mine;
                first = fmt::format("block {} page {} byte {}", blocks_[block].id, number, at);
            }
        }
    }
    return wrong_pages == 0 ? "" : fmt::format("{} pages differ, the first: {}", wrong_pages, first);
}

}  // namespace godwit::sim
