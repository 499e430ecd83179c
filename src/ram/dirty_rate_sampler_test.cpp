#include "ram/dirty_rate_sampler.h"

#include <gtest/gtest.h>

#include <set>

#include "ram/testing.h"

namespace godwit {
namespace {

using testing::VectorMemory;

constexpr std::uint64_t pages_of_gib = (std::uint64_t{1} << 30) / page_bytes;
const DirtyRateSampler::Stop never_stop = [] { return false; };

TEST(DirtyRateSampler, SeesNoChangeWhereThereIsNone) {
    VectorMemory memory({{"a", 64}, {"b", 3}});
    memory.fill(0, 7, 1);
    DirtyRateSampler sampler(memory, pages_of_gib, 1);
    ASSERT_TRUE(sampler.begin(never_stop));
    ASSERT_TRUE(sampler.finish(never_stop));
    EXPECT_EQ(sampler.changed_bytes(), 0);
}

TEST(DirtyRateSampler, CountsEachChangedPageWhenAllAreLookedAt) {
    VectorMemory memory({{"a", 64}, {"b", 3}});
    DirtyRateSampler sampler(memory, pages_of_gib, 2);
    ASSERT_TRUE(sampler.begin(never_stop));
    for (int again = 0; again < 3; ++again) {
        memory.fill(0, 0, again + 1);
        memory.fill(0, 63, again + 1);
        memory.fill(1, 1, again + 1);
    }
    ASSERT_TRUE(sampler.finish(never_stop));
    EXPECT_DOUBLE_EQ(sampler.changed_bytes(), 3.0 * page_bytes);
    // A second look counts anew.
    ASSERT_TRUE(sampler.begin(never_stop));
    ASSERT_TRUE(sampler.finish(never_stop));
    EXPECT_EQ(sampler.changed_bytes(), 0);
}

TEST(DirtyRateSampler, ExtrapolatesFromAFewPages) {
    VectorMemory memory({{"a", 4096}});
    // A sixteenth of all pages.
    DirtyRateSampler sampler(memory, pages_of_gib / 16, 3);
    ASSERT_TRUE(sampler.begin(never_stop));
    for (std::size_t page = 0; page < 2048; ++page) {
        memory.blocks()[0].host[page * page_bytes] = std::byte{1};
    }
    ASSERT_TRUE(sampler.finish(never_stop));
    EXPECT_DOUBLE_EQ(sampler.changed_bytes(), 2048.0 * page_bytes);
}

TEST(DirtyRateSampler, LooksAtEachBlock) {
    VectorMemory memory({{"a", 1}, {"b", 2}});
    DirtyRateSampler sampler(memory, 128, 4);
    ASSERT_TRUE(sampler.begin(never_stop));
    memory.fill(0, 0, 1);
    memory.fill(1, 0, 1);
    memory.fill(1, 1, 1);
    ASSERT_TRUE(sampler.finish(never_stop));
    EXPECT_DOUBLE_EQ(sampler.changed_bytes(), 3.0 * page_bytes);
}

/// Only what is no hole may be read: the memory behind holes cannot be.
class HoleyMemory : public GuestMemory {
public:
    HoleyMemory() { block_.push_back({"holes", nullptr, ByteCount(std::uint64_t{1} << 40)}); }
    std::span<const RamBlock> blocks() const override { return block_; }
    Extent extent_at(std::size_t, PageNumber page) const override {
        ++questions;
        const std::uint64_t stretch = std::uint64_t{1} << 20;
        return {true, PageNumber((page.value() / stretch + 1) * stretch)};
    }
    Status make_zero(std::size_t, PageNumber, PageCount) override { return {}; }
    mutable std::uint64_t questions = 0;

private:
    std::vector<RamBlock> block_;
};

TEST(DirtyRateSampler, DoesNotReadHoles) {
    HoleyMemory memory;
    DirtyRateSampler sampler(memory, 128, 5);
    ASSERT_TRUE(sampler.begin(never_stop));
    ASSERT_TRUE(sampler.finish(never_stop));
    EXPECT_EQ(sampler.changed_bytes(), 0);
    EXPECT_EQ(memory.questions, 2U * 256);  // one for each stretch and look
}

TEST(DirtyRateSampler, AHoleThatGetsDataHasChangedUnlessItIsZeros) {
    class Filled : public VectorMemory {
    public:
        using VectorMemory::VectorMemory;
        Extent extent_at(std::size_t block, PageNumber page) const override {
            Extent extent = VectorMemory::extent_at(block, page);
            extent.hole = holes;
            return extent;
        }
        bool holes = true;
    };
    Filled memory({{"a", 8}});
    DirtyRateSampler sampler(memory, pages_of_gib, 6);
    ASSERT_TRUE(sampler.begin(never_stop));
    memory.holes = false;
    memory.fill(0, 5, 1);
    ASSERT_TRUE(sampler.finish(never_stop));
    EXPECT_DOUBLE_EQ(sampler.changed_bytes(), 1.0 * page_bytes);
}

TEST(DirtyRateSampler, StopsAtOnce) {
    HoleyMemory memory;
    DirtyRateSampler sampler(memory, 128, 7);
    int asked = 0;
    EXPECT_FALSE(sampler.begin([&] { return ++asked == 3; }));
    EXPECT_EQ(asked, 3);
    EXPECT_FALSE(sampler.finish([] { return true; }));
}

TEST(DirtyRateSampler, ARateIsRoundedDown) {
    EXPECT_EQ(dirty_megabytes_per_s(10 << 20, std::chrono::seconds(1)), 10U);
    EXPECT_EQ(dirty_megabytes_per_s(10 << 20, std::chrono::milliseconds(500)), 20U);
    EXPECT_EQ(dirty_megabytes_per_s(10 << 20, std::chrono::seconds(3)), 3U);
    EXPECT_EQ(dirty_megabytes_per_s(10 << 20, Duration::zero()), 0U);
}

TEST(PageDigest, TellsPagesApart) {
    VectorMemory memory({{"a", 1}});
    std::byte* page = memory.blocks()[0].host;
    std::set<std::uint64_t> digests{page_digest(page)};
    for (std::size_t at = 0; at < page_bytes; at += 7) {
        for (const int bit : {0, 7}) {
            page[at] = std::byte{1} << bit;
            EXPECT_TRUE(digests.insert(page_digest(page)).second);
            page[at] = std::byte{0};
        }
    }
}

}  // namespace
}  // namespace godwit
