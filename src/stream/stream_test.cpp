#include <gtest/gtest.h>

#include <array>

#include "stream/reader.h"
#include "stream/testing.h"
#include "stream/writer.h"

namespace godwit {
namespace {

using testing::FaultyChannel;
using testing::ManualClock;

std::vector<std::byte> pattern(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::byte>(i * 7 + i / 251);
    }
    return bytes;
}

TEST(Stream, IntegersAreBigEndian) {
    ManualClock clock;
    MemoryChannel channel;
    StreamWriter writer(channel, clock);
    writer.put_u8(0x01);
    writer.put_u16(0x0203);
    writer.put_u32(0x04050607);
    writer.put_u64(0x08090a0b0c0d0e0f);
    writer.put_string8("ram");
    EXPECT_EQ(writer.bytes_written(), 0U);
    writer.flush();
    EXPECT_EQ(writer.bytes_written(), 19U);
    for (std::size_t i = 0; i < 15; ++i) {
        EXPECT_EQ(static_cast<std::size_t>(channel.bytes()[i]), i + 1);
    }
    StreamReader reader(channel, clock);
    EXPECT_EQ(reader.get_u8(), 0x01);
    EXPECT_EQ(reader.get_u16(), 0x0203);
    EXPECT_EQ(reader.get_u32(), 0x04050607U);
    EXPECT_EQ(reader.get_u64(), 0x08090a0b0c0d0e0fU);
    EXPECT_EQ(reader.get_string8(), "ram");
    EXPECT_FALSE(reader.peek_u8().has_value());
    EXPECT_TRUE(reader.ok()) << "an orderly end is no error until something is missing";
    EXPECT_EQ(reader.get_u8(), 0);
    ASSERT_FALSE(reader.ok());
    EXPECT_EQ(reader.error()->code, ErrorCode::stream_truncated);
}

TEST(Stream, LargeAndReferencedBytesSurviveShortWritesAndReads) {
    ManualClock clock;
    const std::vector<std::byte> large = pattern(300'000);
    for (std::size_t step : {1UL, 3UL, 4096UL, 70'000UL}) {
        FaultyChannel channel;
        channel.bytes_per_call = step;
        StreamWriter writer(channel, clock);
        writer.put_bytes(large);
        writer.put_u32(42);
        writer.put_reference(large);
        writer.put_u32(43);
        writer.flush();
        ASSERT_TRUE(writer.ok());
        StreamReader reader(channel, clock);
        std::vector<std::byte> got(large.size());
        reader.get_bytes(got);
        EXPECT_EQ(got, large);
        EXPECT_EQ(reader.get_u32(), 42U);
        reader.skip(large.size() - 10);
        std::vector<std::byte> tail(10);
        reader.get_bytes(tail);
        EXPECT_TRUE(std::equal(tail.begin(), tail.end(), large.end() - 10));
        EXPECT_EQ(reader.get_u32(), 43U);
        EXPECT_EQ(reader.position(), writer.bytes_written());
    }
}

TEST(Stream, ReferencedBytesAreReadAtTheFlush) {
    ManualClock clock;
    MemoryChannel channel;
    StreamWriter writer(channel, clock);
    std::byte byte{1};
    writer.put_reference({&byte, 1});
    byte = std::byte{2};
    writer.flush();
    ASSERT_EQ(channel.bytes().size(), 1U);
    EXPECT_EQ(channel.bytes()[0], std::byte{2});
}

TEST(Stream, TheFirstErrorSticksAndNothingIsWrittenAfterIt) {
    ManualClock clock;
    const std::vector<std::byte> bytes = pattern(10'000);
    for (std::size_t at : {0UL, 1UL, 4095UL, 9'999UL}) {
        FaultyChannel channel;
        channel.fail_at_byte = at;
        StreamWriter writer(channel, clock);
        writer.put_reference(bytes);
        writer.flush();
        ASSERT_FALSE(writer.ok());
        writer.set_error(Error{ErrorCode::peer_failed, "later"});
        writer.put_u64(1);
        writer.put_reference(bytes);
        writer.flush();
        EXPECT_EQ(writer.error()->message, "injected");
        EXPECT_EQ(channel.writes_after_failure, 0U);
        EXPECT_EQ(writer.bytes_written(), at);
        EXPECT_EQ(channel.bytes().size(), at);
    }
}

TEST(Stream, ManyPagesLeaveInOneGatheredWrite) {
    ManualClock clock;
    FaultyChannel channel;
    StreamWriter writer(channel, clock);
    const std::vector<std::byte> page = pattern(4096);
    for (int i = 0; i < 64; ++i) {
        writer.put_u64(1);
        writer.put_reference(page);
    }
    writer.flush();
    EXPECT_EQ(channel.writes, 1U);
    EXPECT_EQ(channel.largest_gather, 128U);
}

TEST(Stream, PeekDoesNotConsume) {
    ManualClock clock;
    FaultyChannel channel(pattern(300));
    channel.bytes_per_call = 7;
    StreamReader reader(channel, clock);
    std::array<std::byte, 257> head{};
    EXPECT_EQ(reader.peek(head), 257U);
    EXPECT_EQ(reader.position(), 0U);
    reader.skip(299);
    EXPECT_EQ(reader.peek(head), 1U);
    EXPECT_EQ(reader.peek_u8(), std::optional<std::uint8_t>(static_cast<std::uint8_t>(pattern(300)[299])));
}

/// A connection whose system gives up by itself, whatever the deadline.
class LostChannel : public MemoryChannel {
public:
    Result<std::size_t> read_some(std::span<const MutableBuffer>, Instant) override {
        return fail(ErrorCode::idle_timeout, "the peer does not acknowledge any more");
    }
};

TEST(Stream, OnlyADeadlineThatHasPassedIsReportedAsOne) {
    for (const bool has_passed : {false, true}) {
        ManualClock clock;
        LostChannel channel;
        StreamReader reader(channel, clock);
        reader.set_deadline(clock.now() + std::chrono::seconds(1));
        if (has_passed) {
            clock.advance(std::chrono::seconds(1));
        }
        reader.get_u8();
        ASSERT_FALSE(reader.ok());
        EXPECT_EQ(reader.error()->code, has_passed ? ErrorCode::handshake_timeout : ErrorCode::idle_timeout);
    }
    ManualClock clock;
    LostChannel channel;
    StreamReader without_deadline(channel, clock);
    without_deadline.get_u8();
    EXPECT_EQ(without_deadline.error()->code, ErrorCode::idle_timeout);
}

/// Gives what it has, then nothing more comes, or the end.
class QuietChannel : public MemoryChannel {
public:
    QuietChannel(std::vector<std::byte> bytes, bool ends) : MemoryChannel(std::move(bytes)), ends_(ends) {}
    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) override {
        Result<std::size_t> got = MemoryChannel::read_some(buffers, deadline);
        return *got == 0 && !ends_ ? fail(ErrorCode::idle_timeout, "nothing came") : got;
    }

private:
    bool ends_;
};

TEST(Stream, WhatHasArrivedIsDroppedWithoutWaiting) {
    ManualClock clock;
    for (const bool ends : {false, true}) {
        QuietChannel channel(pattern(200'000), ends);
        StreamReader reader(channel, clock);
        reader.get_u8();
        const Result<bool> ended = reader.drop_arrived(1 << 20);
        ASSERT_TRUE(ended);
        EXPECT_EQ(*ended, ends);
        EXPECT_EQ(reader.position(), 200'000U);
        EXPECT_TRUE(reader.ok());
    }
    QuietChannel endless(pattern(1'000'000), true);
    StreamReader reader(endless, clock);
    EXPECT_EQ(reader.drop_arrived(100'000).value_or(true), false) << "the limit comes before the end";
    LostChannel lost;
    StreamReader quiet(lost, clock);
    EXPECT_EQ(quiet.drop_arrived(100).value_or(true), false);
}

TEST(Stream, NoMoreIsReadAheadThanIsSaid) {
    ManualClock clock;
    const std::vector<std::byte> bytes = pattern(100);
    FaultyChannel channel(bytes);
    StreamReader reader(channel, clock);
    reader.set_read_ahead(12);
    EXPECT_EQ(reader.get_u8(), static_cast<std::uint8_t>(bytes[0]));
    EXPECT_EQ(reader.bytes_read(), 12U);
    std::vector<std::byte> piece(50);
    reader.get_bytes(piece);
    EXPECT_TRUE(std::equal(piece.begin(), piece.end(), bytes.begin() + 1));
    EXPECT_EQ(reader.bytes_read(), 51U + 12U);
    piece.resize(13);
    reader.set_read_ahead_to_most();
    reader.get_bytes(piece);
    EXPECT_TRUE(std::equal(piece.begin(), piece.end(), bytes.begin() + 51));
    EXPECT_EQ(reader.bytes_read(), 100U);
}

TEST(Stream, WhatIsReadAheadCanBePutBack) {
    ManualClock clock;
    const std::vector<std::byte> bytes = pattern(5000);
    FaultyChannel channel(bytes);
    StreamReader reader(channel, clock);
    std::vector<std::byte> first(100);
    std::vector<std::byte> second(1000);
    const MutableBuffer ahead[] = {second};
    const std::size_t got = reader.get_bytes_ahead(first, ahead);
    ASSERT_EQ(got, 1000U);
    EXPECT_TRUE(std::equal(first.begin(), first.end(), bytes.begin()));
    const ConstBuffer back = ConstBuffer(second).subspan(300);
    const std::array<ConstBuffer, 3> pieces{back.first(7), ConstBuffer(), back.subspan(7)};
    reader.unread(pieces);
    EXPECT_EQ(reader.position(), 400U);
    std::vector<std::byte> rest(4600);
    reader.get_bytes(rest);
    EXPECT_TRUE(std::equal(rest.begin(), rest.end(), bytes.begin() + 400));
}

TEST(StreamDeath, NothingIsPutBackInFrontOfWhatIsBuffered) {
    ManualClock clock;
    FaultyChannel channel(pattern(100));
    StreamReader reader(channel, clock);
    reader.get_u8();
    ASSERT_GT(reader.buffered(), 0U);
    const std::byte byte{1};
    const ConstBuffer piece(&byte, 1);
    reader.unread({&piece, 0});
    EXPECT_DEATH(reader.unread({&piece, 1}), "bytes put back before");
}

}  // namespace
}  // namespace godwit
