#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "godwit/dirty_source.h"
#include "godwit/guest_memory.h"

namespace godwit::testing {

/// Guest memory of its own, with blocks as a test wants them; nothing in it is a hole.
class VectorMemory : public GuestMemory {
public:
    explicit VectorMemory(const std::vector<std::pair<std::string, std::size_t>>& blocks, bool fresh = false) {
        for (const auto& [id, pages] : blocks) {
            storage_.push_back(static_cast<std::byte*>(std::aligned_alloc(page_bytes, pages * page_bytes)));
            std::memset(storage_.back(), 0, pages * page_bytes);
            blocks_.push_back(RamBlock{id, storage_.back(), ByteCount(pages * page_bytes), fresh});
        }
    }
    ~VectorMemory() override {
        for (std::byte* piece : storage_) {
            std::free(piece);
        }
    }
    std::span<const RamBlock> blocks() const override { return blocks_; }
    Extent extent_at(std::size_t block, PageNumber) const override {
        return {false, PageNumber(pages_in(blocks_[block].size).value())};
    }
    Status make_zero(std::size_t block, PageNumber first, PageCount count) override {
        ++make_zero_calls;
        std::memset(blocks_[block].host + offset_of(first).value(), 0, count.value() * page_bytes);
        return {};
    }
    void fill(std::size_t block, std::size_t page, int seed) {
        std::mt19937 random(static_cast<unsigned>(seed));
        std::byte* host = blocks_[block].host + page * page_bytes;
        for (std::size_t i = 0; i < page_bytes; ++i) {
            host[i] = static_cast<std::byte>(random());
        }
    }
    bool same_as(const VectorMemory& other) const {
        for (std::size_t i = 0; i < blocks_.size(); ++i) {
            if (std::memcmp(blocks_[i].host, other.blocks_[i].host, blocks_[i].size.value()) != 0) {
                return false;
            }
        }
        return true;
    }

    int make_zero_calls = 0;

private:
    std::vector<std::byte*> storage_;
    std::vector<RamBlock> blocks_;
};

/// Marks set by the test; insists that marks are cleared before pages are read.
class ScriptedDirty : public DirtySource {
public:
    explicit ScriptedDirty(std::size_t pages) : pages_(pages) {}
    Status start() override { return {}; }
    void stop() override {}
    Status collect(std::size_t block, std::span<std::uint64_t> bitmap) override {
        if (block == 0) {
            for (std::size_t page : marked) {
                bitmap[page / 64] |= std::uint64_t{1} << (page % 64);
            }
            marked.clear();
        }
        return {};
    }
    Status clear(std::size_t, PageNumber first, std::span<const std::uint64_t>) override {
        EXPECT_EQ(first.value() % 64, 0U);
        EXPECT_LT(first.value(), pages_);
        return {};
    }
    std::vector<std::size_t> marked;

private:
    std::size_t pages_;
};

}  // namespace godwit::testing
