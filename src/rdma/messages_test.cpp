#include "rdma/messages.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "rdma/fabric.h"

namespace godwit::rdma {
namespace {

std::array<std::byte, header_bytes> head(std::uint32_t payload_bytes, std::uint32_t type, std::uint32_t repeat,
                                         std::uint32_t padding = 0) {
    std::array<std::byte, header_bytes> bytes{};
    const std::uint32_t fields[] = {payload_bytes, type, repeat, padding};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::byte>(fields[i / 4] >> (8 * (3 - i % 4)));
    }
    return bytes;
}

std::vector<std::byte> key(std::size_t bytes) {
    return std::vector<std::byte>(bytes, std::byte{7});
}

TEST(RdmaMessages, AHeadIsLengthTypeRepeatPaddingInBigEndian) {
    std::array<std::byte, header_bytes> bytes{};
    encode(Header{.payload_bytes = 24, .type = MessageType::compress, .repeat = 1}, bytes);
    EXPECT_EQ(bytes, head(24, 6, 1));
    const Result<Header> read = decode_header(bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->type, MessageType::compress);
    EXPECT_EQ(read->payload_bytes, 24U);
}

TEST(RdmaMessages, HeadsThatMakeNoSenseAreRefused) {
    const auto refused = [](auto bytes) {
        const Result<Header> read = decode_header(bytes);
        return !read && read.error().code == ErrorCode::stream_corrupt;
    };
    EXPECT_TRUE(refused(head(0, 0, 1))) << "type";
    EXPECT_TRUE(refused(head(0, last_message_type + 1, 1))) << "type";
    EXPECT_TRUE(refused(head(0, 2, 1, 9))) << "padding";
    EXPECT_EQ(decode_header(head(0, 2, 1, 9)).error().message, "RDMA message READY: its head ends with 9 instead of 0");
    EXPECT_TRUE(refused(head(1, 2, 1))) << "READY has no payload";
    EXPECT_TRUE(refused(head(0, 3, 1))) << "a STREAM without bytes";
    EXPECT_TRUE(refused(head(512 * 1024, 3, 1))) << "length";
    EXPECT_TRUE(refused(head(0xffffffff, 3, 1))) << "length";
    EXPECT_TRUE(refused(head(24, 6, 0))) << "no entry";
    EXPECT_TRUE(refused(head(24, 6, 2))) << "entries";
    EXPECT_TRUE(refused(head(24 * 4097, 6, 4097))) << "too many entries";
    EXPECT_TRUE(refused(head(1025, 1, 1))) << "a long ERROR";
    EXPECT_TRUE(refused(head(0, 2, 2))) << "READY has no entries";
    EXPECT_TRUE(refused(head(16, 9, 4))) << "REGISTER_FINISHED has one";
    EXPECT_FALSE(refused(head(512 * 1024 - 16, 3, 1)));
}

TEST(RdmaMessages, WhatIsWrittenIsRead) {
    const auto blocks =
        decode_ram_blocks_request(encode(RamBlocksRequest{true, {{"ram", ByteCount(1 << 30)}, {"", ByteCount(4096)}}}));
    ASSERT_TRUE(blocks);
    EXPECT_TRUE(blocks->pin_all);
    EXPECT_EQ(blocks->blocks[0].id, "ram");
    EXPECT_EQ(blocks->blocks[1].size, ByteCount(4096));

    const auto places = decode_ram_blocks_result(
        encode(RamBlocksResult{ByteCount(5), {{0x7f0000001000, ByteCount(4096), key(9)}, {0, ByteCount(8192), {}}}}));
    ASSERT_TRUE(places);
    EXPECT_EQ(places->registration_limit, ByteCount(5));
    EXPECT_EQ(places->blocks[0].host_address, 0x7f0000001000U);
    EXPECT_EQ(places->blocks[0].key, key(9));
    EXPECT_TRUE(places->blocks[1].key.empty());

    const ZeroRange range{3, BlockOffset(8192), ByteCount(4096)};
    const auto zeros = decode_compress(encode(std::span(&range, 1)));
    ASSERT_TRUE(zeros);
    EXPECT_EQ(zeros->at(0).block, 3U);
    EXPECT_EQ(zeros->at(0).offset, BlockOffset(8192));

    const ChunkRange chunks{2, ChunkNumber(9), 17};
    const auto asked = decode_chunk_ranges(encode(MessageType::register_request, std::span(&chunks, 1)));
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->at(0).count, 17U);
    EXPECT_EQ(asked->at(0).first, ChunkNumber(9));

    const ChunkKey chunk_key{0x1000, key(256)};
    const auto keys = decode_register_result(encode(std::span(&chunk_key, 1)));
    ASSERT_TRUE(keys);
    EXPECT_EQ(keys->at(0).key, key(256));

    const auto figures = decode_register_finished(encode(RoundFigures{.pages = 1ULL << 40, .writes = 3}));
    ASSERT_TRUE(figures);
    EXPECT_EQ(figures->pages, 1ULL << 40);
    EXPECT_EQ(decode_error(make_error("no\nroom")), "no\\x0aroom");
}

/// A message with one byte changed in its payload.
Message changed(Message message, std::size_t at, std::uint8_t value) {
    message.payload.at(at) = static_cast<std::byte>(value);
    return message;
}

TEST(RdmaMessages, EntriesThatMakeNoSenseAreRefused) {
    const ZeroRange range{3, BlockOffset(8192), ByteCount(4096)};
    EXPECT_FALSE(decode_compress(changed(encode(std::span(&range, 1)), 3, 0xff))) << "another value than 0";
    const ChunkRange chunks{2, ChunkNumber(9), 17};
    const Message request = encode(MessageType::register_request, std::span(&chunks, 1));
    EXPECT_FALSE(decode_chunk_ranges(changed(request, 12, 1))) << "padding";
    EXPECT_FALSE(decode_chunk_ranges(changed(request, 22, 4))) << "1040 further chunks";
    const std::vector<ChunkRange> many(2, ChunkRange{0, ChunkNumber(0), 600});
    EXPECT_FALSE(decode_chunk_ranges(encode(MessageType::register_request, many))) << "1200 chunks";
    const ChunkKey chunk_key{0x1000, key(16)};
    EXPECT_FALSE(decode_register_result(changed(encode(std::span(&chunk_key, 1)), 8, 2))) << "a key of 528 bytes";
    const Message blocks = encode(RamBlocksRequest{false, {{"ram", ByteCount(4096)}}});
    EXPECT_FALSE(decode_ram_blocks_request(changed(blocks, 3, 2))) << "unknown flag";
    EXPECT_FALSE(decode_ram_blocks_request(changed(blocks, 4, 200))) << "a long name";
}

/// Cut at any byte, or with any number of entries: an error, or an answer that used all of it. No more memory than the
/// payload has entries.
TEST(RdmaMessages, DamagedPayloadsNeverDoHarm) {
    const ChunkKey chunk_key{0x1000, key(16)};
    const std::vector<Message> whole = {
        encode(RamBlocksRequest{true, {{"ram", ByteCount(1 << 30)}, {"rom", ByteCount(4096)}}}),
        encode(RamBlocksResult{ByteCount(5), {{0x1000, ByteCount(4096), key(9)}}}),
        encode(std::vector<ZeroRange>(3, ZeroRange{3, BlockOffset(8192), ByteCount(4096)})),
        encode(MessageType::register_request, std::vector<ChunkRange>(2, ChunkRange{2, ChunkNumber(9), 17})),
        encode(std::vector<ChunkKey>(2, chunk_key)),
        encode(RoundFigures{1, 2})};
    std::mt19937 random(5);
    for (const Message& message : whole) {
        for (int i = 0; i < 3000; ++i) {
            Message damaged = message;
            damaged.payload.resize(random() % (message.payload.size() + 8));
            for (std::uint32_t changes = static_cast<std::uint32_t>(random() % 4);
                 changes > 0 && !damaged.payload.empty(); --changes) {
                damaged.payload[random() % damaged.payload.size()] = static_cast<std::byte>(random());
            }
            damaged.repeat = 1 + static_cast<std::uint32_t>(random() % max_repeat);
            const bool entries = !decode_ram_blocks_request(damaged) || !decode_ram_blocks_result(damaged) ||
                                 !decode_compress(damaged) || !decode_chunk_ranges(damaged) ||
                                 !decode_register_result(damaged) || !decode_register_finished(damaged);
            EXPECT_TRUE(entries) << "no payload fits all types";
        }
    }
}

}  // namespace
}  // namespace godwit::rdma
