#include "block/record_decoder.h"

#include <gtest/gtest.h>

#include "block/record_testing.h"
#include "godwit/block_device.h"

namespace godwit {
namespace {

using testing::DiskRecordList;
using testing::DiskRecords;
using Record = DiskRecordList::Record;

constexpr std::uint64_t chunk_bytes = DiskWriteTracker::chunk_bytes;

Status decode(std::vector<std::byte> bytes, DiskRecordList& list) {
    const testing::ManualClock clock;
    MemoryChannel channel(std::move(bytes));
    StreamReader reader(channel, clock);
    return DiskRecordDecoder().decode_section(reader, list);
}

/// The error that these records end in; nothing but the records before it may have been heard of.
Error error_of(DiskRecords& records) {
    DiskRecordList list;
    const Status decoded = decode(records.take(), list);
    EXPECT_TRUE(list.records.empty());
    EXPECT_EQ(list.targets, 0U);
    return decoded ? Error{ErrorCode::internal, "it was accepted"} : decoded.error();
}

void expect_corrupt(DiskRecords& records, const std::string& text) {
    const Error error = error_of(records);
    EXPECT_EQ(error.code, ErrorCode::stream_corrupt) << error.message;
    EXPECT_NE(error.message.find(text), std::string::npos) << error.message;
}

TEST(DiskRecordDecoder, TellsWhatTheRecordsSay) {
    DiskRecords records;
    records.progress(0).chunk("vda", 3 * chunk_bytes, std::byte{7}).zero("a disk", 0).progress(100);
    records.zero("vda", 512).end();
    DiskRecordList list;
    const Status decoded = decode(records.take(), list);
    ASSERT_TRUE(decoded) << decoded.error().message;
    const std::vector<Record> expected{
        {.kind = Record::Kind::progress, .percent = 0},
        {Record::Kind::chunk, "vda", 3 * chunk_bytes, std::byte{7}},
        {Record::Kind::zero, "a disk", 0},
        {.kind = Record::Kind::progress, .percent = 100},
        {Record::Kind::zero, "vda", 512},
    };
    EXPECT_EQ(list.records, expected);
}

TEST(DiskRecordDecoder, StopsAfterTheEndOfTheSection) {
    DiskRecords records;
    records.end().zero("vda", 0).end();
    const testing::ManualClock clock;
    MemoryChannel channel(records.take());
    StreamReader reader(channel, clock);
    DiskRecordDecoder decoder;
    DiskRecordList list;
    ASSERT_TRUE(decoder.decode_section(reader, list));
    EXPECT_TRUE(list.records.empty());
    ASSERT_TRUE(decoder.decode_section(reader, list));
    EXPECT_EQ(list.records.size(), 1U);
    EXPECT_EQ(reader.position(), 8U + 8 + 4 + 8);
}

TEST(DiskRecordDecoder, UnknownFlagsAreNamed) {
    expect_corrupt(DiskRecords().head(0x5000), "unknown flags 0x0 at offset 0x5000");
    expect_corrupt(DiskRecords().head(0x100010).name("vda"), "unknown flags 0x10 at offset 0x100000");
    expect_corrupt(DiskRecords().head(0x08).name("vda"), "unknown flags 0x8");
    expect_corrupt(DiskRecords().head(0x100101).name("vda"), "disk \"vda\" at offset 0x100000: unknown flags 0x101");
}

TEST(DiskRecordDecoder, FlagsThatExcludeEachOtherAreRefused) {
    expect_corrupt(DiskRecords().head(0x200005).name("vdb"), "disk \"vdb\" at offset 0x200000: unknown flags 0x5");
    expect_corrupt(DiskRecords().head(0x3).name("vdb"), "unknown flags 0x3");
    expect_corrupt(DiskRecords().head(0xd).name("vdb"), "unknown flags 0xd");
    expect_corrupt(DiskRecords().head(0x6), "unknown flags 0x6");
    expect_corrupt(DiskRecords().head(0xa), "unknown flags 0xa");
    expect_corrupt(DiskRecords().head(0x100002), "unknown flags 0x2 at offset 0x100000");
}

TEST(DiskRecordDecoder, ADiskWithoutANameIsRefused) {
    expect_corrupt(DiskRecords().head(0x100001).name(""), "disk \"\" at offset 0x100000: the disk's name is empty");
}

TEST(DiskRecordDecoder, AnOffsetThatNoDiskHasIsRefused) {
    DiskRecordList list;
    const std::uint64_t largest = DiskRecordDecoder::max_offset_bytes / sector_bytes * sector_bytes;
    ASSERT_TRUE(decode(DiskRecords().zero("vda", largest).end().take(), list));
    EXPECT_EQ(list.records.size(), 1U);
    expect_corrupt(DiskRecords().zero("vda", largest + 512).end(), "no disk is that large");
    expect_corrupt(DiskRecords().head(~std::uint64_t{0x1ff} | 1).name("vda"), "no disk is that large");
}

TEST(DiskRecordDecoder, MoreThanEverythingIsRefused) {
    expect_corrupt(DiskRecords().progress(101).end(), "sent to 101 %");
    expect_corrupt(DiskRecords().progress((std::uint64_t{1} << 55) - 1).end(), "sent to 36028797018963967 %");
}

TEST(DiskRecordDecoder, AStreamThatEndsIsTruncatedWhereverThatIs) {
    DiskRecords records;
    records.zero("vda", 0).chunk("vda", 0, std::byte{1}).end();
    const std::vector<std::byte> whole = records.take();
    for (const std::size_t bytes : std::initializer_list<std::size_t>{
             0, 3, 8, 9, 11, 12, 20, 24, 25, chunk_bytes, whole.size() - 9, whole.size() - 8, whole.size() - 1}) {
        DiskRecordList list;
        const Status decoded = decode({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes)}, list);
        ASSERT_FALSE(decoded) << bytes;
        EXPECT_EQ(decoded.error().code, ErrorCode::stream_truncated) << bytes;
        const std::size_t expected = (bytes >= 12 ? 1U : 0U) + (bytes >= whole.size() - 8 ? 1U : 0U);
        EXPECT_EQ(list.records.size(), expected) << bytes;
    }
}

TEST(DiskRecordDecoder, WhatTheVisitorObjectsToEndsIt) {
    for (const bool chunk : {true, false}) {
        DiskRecords records;
        chunk ? records.chunk("vda", 0, std::byte{1}) : records.progress(5);
        records.zero("vda", 0).end();
        DiskRecordList list;
        list.answer = fail(ErrorCode::disk_mismatch, "there is no such disk");
        const Status decoded = decode(records.take(), list);
        ASSERT_FALSE(decoded);
        EXPECT_EQ(decoded.error().code, ErrorCode::disk_mismatch);
        EXPECT_EQ(list.records.size(), chunk ? 0U : 1U) << "no data was read for a target that there is not";
    }
}

}  // namespace
}  // namespace godwit
