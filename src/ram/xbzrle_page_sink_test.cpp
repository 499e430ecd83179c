// Deltas from a saver to a loader, and the cache between them.
#include "ram/xbzrle_page_sink.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "ram/loader.h"
#include "ram/saver.h"
#include "ram/testing.h"
#include "stream/format.h"
#include "stream/testing.h"

namespace godwit {
namespace {

using testing::FaultyChannel;
using testing::ManualClock;
using testing::ScriptedDirty;
using testing::VectorMemory;

TEST(XbzrleCache, SizeIsAPowerOfTwoAndNoClaimIsBelieved) {
    EXPECT_TRUE(XbzrleCache::make(ByteCount(page_bytes)));
    EXPECT_EQ(XbzrleCache::make(ByteCount(0)).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(XbzrleCache::make(ByteCount(2048)).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(XbzrleCache::make(ByteCount(3 * page_bytes)).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(XbzrleCache::make(ByteCount(std::uint64_t{1} << 62)).error().code, ErrorCode::memory);
    EXPECT_EQ(XbzrleCache::make(ByteCount(std::uint64_t{1} << 63)).error().code, ErrorCode::memory);
}

TEST(XbzrleCache, ItsCopiesAreHiddenAsTheMemoryIs) {
    class HidingMemory : public VectorMemory {
    public:
        using VectorMemory::VectorMemory;
        void hide_copies(std::span<std::byte> copies) const override { hidden.push_back(copies); }
        mutable std::vector<std::span<std::byte>> hidden;
    };
    const HidingMemory memory({{"ram", 1}});
    auto cache = XbzrleCache::make(ByteCount(4 * page_bytes), &memory);
    ASSERT_TRUE(cache);
    ASSERT_TRUE(cache->resize(ByteCount(8 * page_bytes)));
    ASSERT_EQ(memory.hidden.size(), 2U);
    EXPECT_EQ(memory.hidden[0].size(), 4 * page_bytes);
    EXPECT_EQ(memory.hidden[1].size(), 8 * page_bytes);
    const std::byte* place = cache->insert(0, 1);
    EXPECT_TRUE(memory.hidden[1].data() <= place && place < memory.hidden[1].data() + 8 * page_bytes);
}

TEST(XbzrleCache, APageKeepsItsPlaceForTwoPasses) {
    auto cache = XbzrleCache::make(ByteCount(4 * page_bytes));
    ASSERT_TRUE(cache);
    EXPECT_EQ(cache->find(1, 1), nullptr);
    std::byte* place = cache->insert(1, 1);
    ASSERT_NE(place, nullptr);
    EXPECT_EQ(cache->find(1, 1), place);
    EXPECT_EQ(cache->insert(5, 1), nullptr) << "the same place, in the same pass";
    EXPECT_EQ(cache->insert(5, 2), nullptr) << "one pass later";
    EXPECT_EQ(cache->find(5, 2), nullptr);
    EXPECT_EQ(cache->find(1, 2), place) << "and it has been used again";
    EXPECT_EQ(cache->insert(5, 3), nullptr);
    EXPECT_EQ(cache->insert(5, 4), place);
    EXPECT_EQ(cache->find(1, 4), nullptr);
}

TEST(XbzrleCache, ResizingKeepsWhatHasAPlace) {
    auto cache = XbzrleCache::make(ByteCount(8 * page_bytes));
    ASSERT_TRUE(cache);
    for (std::uint64_t page = 0; page < 8; ++page) {
        std::memset(cache->insert(page, page < 4 ? 5 : 6), static_cast<int>(page + 1), page_bytes);
    }
    ASSERT_TRUE(cache->resize(ByteCount(4 * page_bytes)));
    EXPECT_EQ(cache->size(), ByteCount(4 * page_bytes));
    for (std::uint64_t page = 0; page < 4; ++page) {
        EXPECT_EQ(cache->find(page, 6), nullptr) << "the ones used last stay";
        const std::byte* place = cache->find(page + 4, 6);
        ASSERT_NE(place, nullptr);
        EXPECT_EQ(place[page_bytes - 1], static_cast<std::byte>(page + 5));
    }
    ASSERT_TRUE(cache->resize(ByteCount(16 * page_bytes)));
    EXPECT_NE(cache->find(7, 6), nullptr);
    EXPECT_FALSE(cache->resize(ByteCount(3 * page_bytes)));
    EXPECT_NE(cache->find(7, 6), nullptr) << "an error changes nothing";
}

/// A source that sends passes to a destination in the same process.
class Deltas : public ::testing::Test {
protected:
    static constexpr std::size_t pages = 64;

    void send(PageSink& sink) {
        saver_.begin_pass();
        ASSERT_TRUE(saver_.collect());
        ASSERT_TRUE(saver_.send(sink, ByteCount(1 << 30)));
        ASSERT_TRUE(saver_.pass_done());
        writer_.put_u64(format::ram_flag::eos);
        writer_.flush();
        ASSERT_TRUE(writer_.ok());
        ASSERT_TRUE(loader_.load_section(reader_)) << reader_.status().error().message;
    }
    void send_first_pass() {
        for (std::size_t page = 0; page < pages; ++page) {
            from_.fill(0, page, static_cast<int>(page));
        }
        saver_.mark_all();
        send(plain_);
    }
    void next_pass() {
        deltas_.begin_pass();
        send(deltas_);
        EXPECT_TRUE(to_.same_as(from_));
    }
    void touch(std::size_t page, std::size_t at) {
        from_.blocks()[0].host[page * page_bytes + at] ^= std::byte{1};
        dirty_.marked.push_back(page);
    }

    ManualClock clock_;
    FaultyChannel channel_;
    VectorMemory from_{{{"a", pages}}};
    VectorMemory to_{{{"a", pages}}, true};
    ScriptedDirty dirty_{pages};
    RamSaver saver_{from_, dirty_};
    StreamWriter writer_{channel_, clock_};
    StreamPageSink plain_{writer_, from_};
    XbzrlePageSink deltas_{plain_, from_, *XbzrleCache::make(ByteCount(pages* page_bytes))};
    StreamReader reader_{channel_, clock_};
    RamLoader loader_{to_};
};

TEST_F(Deltas, AKnownPageIsSentAsItsChange) {
    send_first_pass();
    touch(3, 100);
    next_pass();
    EXPECT_EQ(deltas_.cache_misses(), 1U);
    EXPECT_EQ(deltas_.delta_pages(), 0U);
    touch(3, 200);
    next_pass();
    EXPECT_EQ(deltas_.cache_misses(), 1U);
    EXPECT_EQ(deltas_.delta_pages(), 1U);
    EXPECT_EQ(deltas_.delta_bytes(), format::xbzrle_head_bytes + 4) << "lengths of 2 and 1 bytes, and the byte";
    EXPECT_EQ(loader_.delta_pages(), 1U);
    EXPECT_EQ(loader_.delta_bytes(), deltas_.delta_bytes());
    EXPECT_EQ(saver_.delta_pages(), 1U);
    EXPECT_EQ(saver_.normal_pages(), pages + 1);
    EXPECT_EQ(saver_.remaining_pages(), 0U);
}

TEST_F(Deltas, APageWrittenWithTheSameBytesIsNotSent) {
    send_first_pass();
    touch(5, 0);
    next_pass();
    dirty_.marked.push_back(5);
    const std::uint64_t before = writer_.bytes_written();
    next_pass();
    EXPECT_EQ(deltas_.unchanged_pages(), 1U);
    EXPECT_EQ(writer_.bytes_written() - before, 8U) << "only the end of the section";
}

TEST_F(Deltas, APageThatIsAllNewIsSentWholeAndCachedAgain) {
    send_first_pass();
    touch(7, 0);
    next_pass();
    from_.fill(0, 7, 1234);
    dirty_.marked.push_back(7);
    next_pass();
    EXPECT_EQ(deltas_.overflows(), 1U);
    touch(7, 9);
    next_pass();
    EXPECT_EQ(deltas_.delta_pages(), 1U);
}

TEST_F(Deltas, ZerosComeAndGo) {
    send_first_pass();
    touch(7, 0);
    next_pass();
    std::memset(from_.blocks()[0].host + 7 * page_bytes, 0, page_bytes);
    dirty_.marked.push_back(7);
    next_pass();
    touch(7, 4000);
    next_pass();
    EXPECT_EQ(deltas_.delta_pages(), 1U) << "against a page of zeros";
    EXPECT_LT(deltas_.delta_bytes(), 20U);
}

TEST_F(Deltas, TheLastPassUsesTheCacheAndAddsNothing) {
    send_first_pass();
    touch(1, 0);
    next_pass();
    touch(1, 1);
    touch(2, 2);
    deltas_.begin_last_pass();
    send(deltas_);
    EXPECT_TRUE(to_.same_as(from_));
    EXPECT_EQ(deltas_.delta_pages(), 1U);
    EXPECT_EQ(deltas_.cache_misses(), 2U);
}

TEST_F(Deltas, ManyPassesWithACacheThatIsTooSmallAndIsResized) {
    std::mt19937 random(11);
    send_first_pass();
    for (int pass = 0; pass < 60; ++pass) {
        if (pass % 10 == 5) {
            ASSERT_TRUE(deltas_.resize(ByteCount(page_bytes << (random() % 7))));
        }
        for (int change = 0; change < 30; ++change) {
            touch(random() % pages, random() % page_bytes);
        }
        next_pass();
    }
    EXPECT_GT(deltas_.delta_pages(), 300U);
    EXPECT_GT(deltas_.cache_misses(), 100U);
}

TEST_F(Deltas, ADeltaToAPageThatWasNeverSentIsRefused) {
    const std::byte delta[] = {std::byte{0}, std::byte{1}, std::byte{5}};
    plain_.put_delta(0, PageNumber(9), delta);
    writer_.flush();
    const Status loaded = loader_.load_section(reader_);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, ErrorCode::stream_corrupt);
    EXPECT_EQ(loaded.error().message, "a delta to page 9 of RAM block \"a\", which was never sent");
}

TEST_F(Deltas, ADamagedDeltaIsRefused) {
    send_first_pass();
    const std::byte delta[] = {std::byte{0}, std::byte{0}, std::byte{5}};
    plain_.put_delta(0, PageNumber(9), delta);
    writer_.flush();
    const Status loaded = loader_.load_section(reader_);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().message, "the delta to page 9 of RAM block \"a\" is damaged");
}

}  // namespace
}  // namespace godwit
