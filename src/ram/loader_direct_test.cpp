// The destination's side of pages that go past the stream.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "ram/loader.h"
#include "ram/testing.h"
#include "stream/format.h"
#include "stream/testing.h"
#include "stream/writer.h"

namespace godwit {
namespace {

using testing::FaultyChannel;
using testing::ManualClock;
using testing::VectorMemory;

/// Does in each round what the test says.
class ScriptedReceiver : public DirectPageReceiver {
public:
    Status serve_round(DirectPageTarget& target) override {
        ++rounds;
        return script ? script(target) : Status();
    }
    void close() override {}
    std::optional<ByteCount> pin_limit() const override { return std::nullopt; }
    DirectPageFigures figures() const override { return {}; }

    std::function<Status(DirectPageTarget&)> script;
    int rounds = 0;
};

class LoaderDirectTest : public ::testing::Test {
protected:
    /// Loads a section that consists of this record and what the test adds, then the end.
    Status load(const std::function<void(StreamWriter&)>& rest = {}) {
        channel_.bytes_per_call = 1;  // so that nothing is read ahead: the stream is silent after the record
        writer_.put_u64(format::ram_flag::direct);
        writer_.flush();
        if (rest) {
            rest(writer_);
        }
        writer_.put_u64(format::ram_flag::eos);
        writer_.flush();
        return loader_.load_section(reader_);
    }
    void fill_all() {
        for (std::size_t page = 0; page < 8; ++page) {
            memory_.fill(0, page, 7);
        }
    }
    bool is_zero(std::size_t page) const {
        const std::byte* host = memory_.blocks()[0].host + page * page_bytes;
        return std::all_of(host, host + page_bytes, [](std::byte byte) { return byte == std::byte{}; });
    }

    ManualClock clock_;
    FaultyChannel channel_;
    StreamWriter writer_{channel_, clock_};
    StreamReader reader_{channel_, clock_};
    VectorMemory memory_{{{"a", 8}, {"b", 1}}, true};
    RamLoader loader_{memory_};
    ScriptedReceiver receiver_;
};

TEST_F(LoaderDirectTest, WithoutSuchAWayTheRecordIsCorrupt) {
    const Status loaded = load();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, ErrorCode::stream_corrupt);
    EXPECT_NE(loaded.error().hint.find("rdma"), std::string::npos);
}

TEST_F(LoaderDirectTest, AStreamThatDoesNotWaitIsCorrupt) {
    loader_.set_direct_pages(&receiver_);
    writer_.put_u64(format::ram_flag::direct);
    writer_.put_u64(format::ram_flag::eos);
    writer_.flush();
    const Status loaded = loader_.load_section(reader_);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, ErrorCode::stream_corrupt);
    EXPECT_EQ(loaded.error().message, "the stream goes on while pages are written past it");
    EXPECT_EQ(receiver_.rounds, 0);
}

TEST_F(LoaderDirectTest, ARecordWithAnOffsetIsNone) {
    loader_.set_direct_pages(&receiver_);
    writer_.put_u64(page_bytes | format::ram_flag::direct);
    writer_.flush();
    const Status loaded = loader_.load_section(reader_);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, ErrorCode::stream_corrupt);
    EXPECT_EQ(receiver_.rounds, 0);
}

TEST_F(LoaderDirectTest, TheStreamGoesOnAfterTheRound) {
    loader_.set_direct_pages(&receiver_);
    ASSERT_TRUE(load());
    ASSERT_TRUE(load());
    EXPECT_EQ(receiver_.rounds, 2);
}

TEST_F(LoaderDirectTest, AFailureOfTheRoundIsThatOfTheSection) {
    loader_.set_direct_pages(&receiver_);
    receiver_.script = [](DirectPageTarget&) -> Status { return fail(ErrorCode::cannot_pin, "no memory"); };
    const Status loaded = load();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, ErrorCode::cannot_pin);
}

TEST_F(LoaderDirectTest, BlocksAreFoundByNameAndSize) {
    loader_.set_direct_pages(&receiver_);
    receiver_.script = [&](DirectPageTarget& target) -> Status {
        EXPECT_EQ(target.blocks().data(), memory_.blocks().data());
        EXPECT_EQ(*target.find_block("b", ByteCount(page_bytes)), 1U);
        for (const auto& [name, pages] : {std::pair{"a", 7U}, std::pair{"c", 8U}}) {
            const Result<std::size_t> found = target.find_block(name, ByteCount(pages * page_bytes));
            EXPECT_FALSE(found);
            EXPECT_EQ(found.error().code, ErrorCode::ram_mismatch);
        }
        return {};
    };
    ASSERT_TRUE(load());
}

TEST_F(LoaderDirectTest, FreshMemoryIsNotTouchedForZeros) {
    loader_.set_direct_pages(&receiver_);
    receiver_.script = [](DirectPageTarget& target) {
        return target.zero_pages(0, PageNumber(2), PageCount(4), false);
    };
    ASSERT_TRUE(load());
    EXPECT_EQ(memory_.make_zero_calls, 0);
    EXPECT_EQ(loader_.zero_pages(), 4U);
    // What has been named once may have been written since.
    fill_all();
    ASSERT_TRUE(load());
    EXPECT_EQ(memory_.make_zero_calls, 1);
    EXPECT_TRUE(is_zero(2) && is_zero(5));
    EXPECT_FALSE(is_zero(1) || is_zero(6));
}

TEST_F(LoaderDirectTest, OfMixedPagesOnlyThoseThatAreKnownToBeZerosAreLeftOut) {
    loader_.set_direct_pages(&receiver_);
    receiver_.script = [&](DirectPageTarget& target) -> Status {
        target.exposed(0, PageNumber(0), PageCount(2));
        target.exposed(0, PageNumber(5), PageCount(1));
        fill_all();  // pages 2 to 4, 6 and 7 only to see that they are not touched
        return target.zero_pages(0, PageNumber(0), PageCount(8), false);
    };
    ASSERT_TRUE(load());
    EXPECT_EQ(memory_.make_zero_calls, 2);
    for (std::size_t page = 0; page < 8; ++page) {
        EXPECT_EQ(is_zero(page), page < 2 || page == 5) << page;
    }
}

TEST_F(LoaderDirectTest, PagesThatADeviceHoldsBecomeZerosWhereTheyAre) {
    loader_.set_direct_pages(&receiver_);
    fill_all();
    receiver_.script = [](DirectPageTarget& target) { return target.zero_pages(0, PageNumber(1), PageCount(3), true); };
    ASSERT_TRUE(load());
    EXPECT_EQ(memory_.make_zero_calls, 0);
    EXPECT_TRUE(is_zero(1) && is_zero(2) && is_zero(3));
    EXPECT_FALSE(is_zero(0) || is_zero(4));
    EXPECT_EQ(loader_.zero_pages(), 3U);
}

TEST_F(LoaderDirectTest, AZeroRecordInTheStreamKnowsWhatWasExposed) {
    loader_.set_direct_pages(&receiver_);
    receiver_.script = [&](DirectPageTarget& target) -> Status {
        target.exposed(0, PageNumber(0), PageCount(4));
        memory_.fill(0, 3, 1);
        return {};
    };
    ASSERT_TRUE(load([](StreamWriter& writer) {
        writer.put_u64(3 * page_bytes | format::ram_flag::zero);
        writer.put_string8("a");
        writer.put_u8(0);
    }));
    EXPECT_TRUE(is_zero(3));
    EXPECT_EQ(memory_.make_zero_calls, 1);
}

TEST_F(LoaderDirectTest, ZerosBeforeTheRoundDoNotComeAfterIt) {
    loader_.set_direct_pages(&receiver_);
    receiver_.script = [&](DirectPageTarget& target) -> Status {
        target.exposed(0, PageNumber(0), PageCount(8));
        memory_.fill(0, 3, 1);
        return {};
    };
    ASSERT_TRUE(load());
    writer_.put_u64(3 * page_bytes | format::ram_flag::zero);
    writer_.put_string8("a");
    writer_.put_u8(0);
    ASSERT_TRUE(load());
    EXPECT_FALSE(is_zero(3));
    EXPECT_EQ(memory_.make_zero_calls, 1);
}

}  // namespace
}  // namespace godwit
