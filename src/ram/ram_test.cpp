// Saver and loader together, and the loader against streams that no saver writes.
#include <gtest/gtest.h>

#include <cstring>

#include "ram/loader.h"
#include "ram/page_run_reader.h"
#include "ram/saver.h"
#include "ram/stream_page_sink.h"
#include "ram/testing.h"
#include "stream/format.h"
#include "stream/testing.h"

namespace godwit {
namespace {

using testing::FaultyChannel;
using testing::ManualClock;
using testing::ScriptedDirty;
using testing::VectorMemory;

struct Sender {
    explicit Sender(VectorMemory& memory, std::size_t pages, Channel& channel)
        : dirty(pages), saver(memory, dirty), writer(channel, clock), sink(writer, memory) {}
    void section() {
        ASSERT_TRUE(saver.send(sink, ByteCount(1 << 30)));
        sink.end_pages();
        writer.put_u64(format::ram_flag::eos);
        writer.flush();
    }
    ManualClock clock;
    ScriptedDirty dirty;
    RamSaver saver;
    StreamWriter writer;
    StreamPageSink sink;
};

TEST(Ram, TwoBlocksArriveByteForByteWhateverTheReadsLookLike) {
    for (bool fresh : {false, true}) {
        for (std::size_t step : {1000UL, 4104UL, 5000UL, 1UL << 20}) {
            VectorMemory from({{"a", 300}, {"b", 70}});
            for (int page = 0; page < 300; ++page) {
                if (page % 17 != 3) {
                    from.fill(0, static_cast<std::size_t>(page), page);
                }
            }
            from.fill(1, 69, 5);
            FaultyChannel channel;
            Sender sender(from, 300, channel);
            sender.saver.mark_all();
            sender.section();
            EXPECT_EQ(sender.saver.remaining_pages(), 0U);
            EXPECT_EQ(sender.saver.normal_pages(), 300U - 18U + 1U);
            EXPECT_EQ(sender.saver.zero_pages(), 18U + 69U);

            VectorMemory to({{"a", 300}, {"b", 70}}, fresh);
            if (!fresh) {
                to.fill(0, 3, 99);
                to.fill(1, 0, 98);
            }
            channel.bytes_per_call = step;
            StreamReader reader(channel, sender.clock);
            RamLoader loader(to);
            ASSERT_TRUE(loader.load_section(reader)) << step;
            EXPECT_TRUE(to.same_as(from)) << "step " << step << " fresh " << fresh;
            EXPECT_EQ(loader.normal_pages(), sender.saver.normal_pages());
            EXPECT_EQ(loader.zero_pages(), sender.saver.zero_pages());
        }
    }
}

TEST(Ram, LaterPassesReplacePagesAndZeros) {
    VectorMemory from({{"a", 200}});
    VectorMemory to({{"a", 200}}, true);
    FaultyChannel channel;
    Sender sender(from, 200, channel);
    sender.saver.mark_all();
    for (std::size_t i = 0; i < 200; ++i) {
        from.fill(0, i, static_cast<int>(i));
    }
    sender.section();
    from.fill(0, 10, 1000);
    std::memset(from.blocks()[0].host + 11 * page_bytes, 0, page_bytes);
    sender.dirty.marked = {10, 11, 199};
    ASSERT_EQ(sender.saver.collect()->value(), 3U);
    EXPECT_TRUE(sender.saver.pass_done());
    sender.saver.begin_pass();
    sender.section();
    StreamReader reader(channel, sender.clock);
    RamLoader loader(to);
    ASSERT_TRUE(loader.load_section(reader));
    ASSERT_TRUE(loader.load_section(reader));
    EXPECT_TRUE(to.same_as(from));
}

TEST(Ram, ABudgetStopsInTheMiddleAndGoesOnThere) {
    VectorMemory from({{"a", 130}});
    for (std::size_t i = 0; i < 130; ++i) {
        from.fill(0, i, static_cast<int>(i));
    }
    FaultyChannel channel;
    Sender sender(from, 130, channel);
    sender.saver.mark_all();
    std::size_t calls = 0;
    while (!sender.saver.pass_done()) {
        const Result<ByteCount> sent = sender.saver.send(sender.sink, ByteCount(3 * 4104));
        ASSERT_TRUE(sent);
        EXPECT_LE(sent->value(), 3U * 4104 + 2) << "the first record has the block's name";
        ASSERT_LT(++calls, 100U);
    }
    EXPECT_EQ(sender.saver.remaining_pages(), 0U);
    EXPECT_EQ(sender.saver.normal_pages(), 130U);
}

TEST(Ram, ZerosThatAFreshDestinationHasAreSkippedInTheFirstPassOnly) {
    VectorMemory from({{"a", 200}, {"b", 100}});
    VectorMemory to({{"a", 200}, {"b", 100}}, true);
    from.fill(0, 17, 1);
    FaultyChannel channel;
    Sender sender(from, 200, channel);
    sender.saver.skip_zeros(0);
    sender.saver.mark_all();
    sender.section();
    EXPECT_EQ(sender.saver.skipped_pages(), 199U);
    EXPECT_EQ(sender.saver.zero_pages(), 100U) << "the other block may hold anything";
    EXPECT_EQ(sender.saver.normal_pages(), 1U);
    EXPECT_EQ(sender.saver.remaining_pages(), 0U);
    // A page that has been sent and becomes zeros has to be told, and so has one that was skipped.
    std::memset(from.blocks()[0].host + 17 * page_bytes, 0, page_bytes);
    sender.dirty.marked = {17, 18};
    ASSERT_TRUE(sender.saver.collect());
    sender.saver.begin_pass();
    sender.section();
    EXPECT_EQ(sender.saver.skipped_pages(), 199U);
    EXPECT_EQ(sender.saver.zero_pages(), 102U);
    StreamReader reader(channel, sender.clock);
    RamLoader loader(to);
    ASSERT_TRUE(loader.load_section(reader));
    ASSERT_TRUE(loader.load_section(reader));
    EXPECT_TRUE(to.same_as(from));
}

/// Sends all of the block in one section; how many of its pages came as zeros.
Result<std::uint64_t> send_and_load(VectorMemory& from, std::size_t pages, VectorMemory& to) {
    FaultyChannel channel;
    Sender sender(from, pages, channel);
    sender.saver.mark_all();
    sender.section();
    StreamReader reader(channel, sender.clock);
    RamLoader loader(to);
    const Status loaded = loader.load_section(reader);
    return loaded ? Result<std::uint64_t>(loader.zero_pages()) : fail(loaded.error());
}

TEST(Ram, FreshMemoryIsNotTouchedForZeroRecords) {
    VectorMemory from({{"a", 500}});
    VectorMemory to({{"a", 500}}, true);
    EXPECT_EQ(send_and_load(from, 500, to), 500U);
    EXPECT_EQ(to.make_zero_calls, 0);
}

TEST(Ram, ZeroRecordsThatFollowEachOtherAreHandledTogether) {
    VectorMemory from({{"a", 500}});
    VectorMemory to({{"a", 500}});
    to.fill(0, 7, 1);
    EXPECT_EQ(send_and_load(from, 500, to), 500U);
    EXPECT_EQ(to.make_zero_calls, 1);
    EXPECT_TRUE(to.same_as(from));
}

TEST(Ram, ALongRunOfZeroRecordsIsHandledInPieces) {
    VectorMemory from({{"a", 5000}});
    VectorMemory to({{"a", 5000}});
    to.fill(0, 2048, 1);
    to.fill(0, 4999, 2);
    EXPECT_EQ(send_and_load(from, 5000, to), 5000U);
    EXPECT_EQ(to.make_zero_calls, 3) << "the first ones long before the last record";
    EXPECT_TRUE(to.same_as(from));
}

/// A stream by hand.
struct Hand {
    ManualClock clock;
    FaultyChannel channel;
    StreamWriter writer{channel, clock};
    void record(std::uint64_t offset, std::uint64_t flags, const char* block = nullptr) {
        writer.put_u64(offset | flags | (block == nullptr ? format::ram_flag::same_block : 0));
        if (block != nullptr) {
            writer.put_string8(block);
        }
    }
    void page(int fill) { writer.put_bytes(std::vector<std::byte>(page_bytes, static_cast<std::byte>(fill))); }
    /// The list of blocks comes last, so that the tests' own records are what is read first.
    Status load(VectorMemory& memory) {
        ScriptedDirty dirty(0);
        RamSaver(memory, dirty).put_block_list(writer);
        writer.put_u64(format::ram_flag::eos);
        writer.flush();
        StreamReader reader(channel, clock);
        RamLoader loader(memory);
        const Status loaded = loader.load_section(reader);
        return loaded ? loader.finish() : loaded;
    }
};

TEST(Ram, PagesOutOfOrderLeaveNothingWhereTheBetWasLost) {
    std::mt19937 random(1);
    for (int round = 0; round < 20; ++round) {
        Hand hand;
        VectorMemory to({{"a", 64}}, true);
        std::vector<int> expected(64, 0);
        hand.record(0, format::ram_flag::page, "a");
        hand.page(1);
        expected[0] = 1;
        std::size_t page = 0;
        for (int i = 2; i < 60; ++i) {
            page = random() % 3 == 0 ? random() % 64 : (page + 1) % 64;
            hand.record(page * page_bytes, format::ram_flag::page);
            hand.page(i);
            expected[page] = i;
        }
        hand.channel.bytes_per_call = 4096 + random() % 100'000;
        ASSERT_TRUE(hand.load(to));
        for (std::size_t i = 0; i < 64; ++i) {
            const std::vector<std::byte> want(page_bytes, static_cast<std::byte>(expected[i]));
            ASSERT_EQ(std::memcmp(to.blocks()[0].host + i * page_bytes, want.data(), page_bytes), 0)
                << "page " << i << " round " << round;
        }
    }
}

TEST(Ram, APageThatALostBetOverwroteHasToBeSent) {
    for (const bool is_sent_later : {false, true}) {
        Hand hand;
        VectorMemory to({{"a", 4}});
        hand.record(0, format::ram_flag::page, "a");
        hand.page(1);
        hand.record(3 * page_bytes, format::ram_flag::page);
        hand.page(3);
        if (is_sent_later) {
            hand.record(page_bytes, format::ram_flag::page);
            hand.page(2);
        }
        // The second read ends a few bytes into the second page's data, which by the bet were page 1's.
        hand.channel.bytes_per_call = page_bytes / 2 + 12;
        const Status loaded = hand.load(to);
        if (is_sent_later) {
            ASSERT_TRUE(loaded);
            EXPECT_EQ(to.blocks()[0].host[page_bytes], std::byte{2});
        } else {
            ASSERT_FALSE(loaded) << "page 1 holds bytes of another page";
            EXPECT_EQ(loaded.error().code, ErrorCode::stream_corrupt);
            EXPECT_NE(loaded.error().message.find("page 1 of RAM block \"a\""), std::string::npos);
        }
        EXPECT_EQ(to.blocks()[0].host[3 * page_bytes], std::byte{3});
    }
}

TEST(Ram, BadRecordsAreErrorsThatNameBlockAndOffset) {
    const auto error_of = [](auto make) {
        Hand hand;
        VectorMemory to({{"a", 4}});
        make(hand);
        const Status status = hand.load(to);
        EXPECT_FALSE(status);
        return status ? Error{} : status.error();
    };
    EXPECT_EQ(error_of([](Hand& h) { h.record(0, format::ram_flag::page); }).code, ErrorCode::stream_corrupt);
    EXPECT_EQ(error_of([](Hand& h) { h.record(0, format::ram_flag::page, "nope"); }).code, ErrorCode::ram_mismatch);
    const Error outside = error_of([](Hand& h) { h.record(4 * page_bytes, format::ram_flag::page, "a"); });
    EXPECT_EQ(outside.code, ErrorCode::stream_corrupt);
    EXPECT_NE(outside.message.find("\"a\""), std::string::npos);
    EXPECT_NE(outside.message.find("0x4000"), std::string::npos);
    EXPECT_EQ(error_of([](Hand& h) { h.record(0, 0x100, "a"); }).code, ErrorCode::stream_corrupt);
    EXPECT_EQ(error_of([](Hand& h) { h.record(0, format::ram_flag::page | format::ram_flag::zero, "a"); }).code,
              ErrorCode::stream_corrupt);
    EXPECT_EQ(error_of([](Hand& h) {
                  h.writer.put_u64(8 * page_bytes | format::ram_flag::mem_size);
                  h.writer.put_string8("a");
                  h.writer.put_u64(8 * page_bytes);
              }).code,
              ErrorCode::ram_mismatch);
    EXPECT_EQ(error_of([](Hand& h) {
                  h.writer.put_u64(4 * page_bytes | format::ram_flag::mem_size);
                  h.writer.put_string8("a");
                  h.writer.put_u64(~std::uint64_t{0});
              }).code,
              ErrorCode::stream_corrupt);
}

TEST(Ram, OldSendersMayRepeatAnyByte) {
    Hand hand;
    VectorMemory to({{"a", 4}});
    hand.record(page_bytes, format::ram_flag::zero, "a");
    hand.writer.put_u8(0x5a);
    ASSERT_TRUE(hand.load(to));
    EXPECT_EQ(to.blocks()[0].host[page_bytes], std::byte{0x5a});
    EXPECT_EQ(to.blocks()[0].host[2 * page_bytes - 1], std::byte{0x5a});
    EXPECT_EQ(to.blocks()[0].host[0], std::byte{0});
}

}  // namespace
}  // namespace godwit
