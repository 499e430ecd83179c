// Records of any kind, in any order and cut into reads of any size, are told as they were written.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "block/record_testing.h"

namespace godwit {
namespace {

using testing::DiskRecordList;
using testing::DiskRecords;
using Record = DiskRecordList::Record;

Record any_record() {
    const auto kind = *rc::gen::element(Record::Kind::chunk, Record::Kind::zero, Record::Kind::progress);
    if (kind == Record::Kind::progress) {
        return {.kind = kind, .percent = *rc::gen::inRange(0U, 101U)};
    }
    const auto name = *rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::arbitrary<char>()));
    const auto sector = *rc::gen::inRange<std::uint64_t>(0, DiskRecordDecoder::max_offset_bytes / 512);
    const auto fill =
        kind == Record::Kind::chunk ? static_cast<std::byte>(*rc::gen::arbitrary<std::uint8_t>()) : std::byte{0};
    return {kind, name.substr(0, 255), sector * 512, fill};
}

RC_GTEST_PROP(DiskRecordProperty, WhatIsWrittenIsTold, ()) {
    std::vector<Record> records;
    const auto count = *rc::gen::inRange(0, 12);
    DiskRecords bytes;
    for (int i = 0; i < count; ++i) {
        const Record& record = records.emplace_back(any_record());
        switch (record.kind) {
            case Record::Kind::chunk:
                bytes.chunk(record.disk, record.offset, record.fill);
                break;
            case Record::Kind::zero:
                bytes.zero(record.disk, record.offset);
                break;
            case Record::Kind::progress:
                bytes.progress(record.percent);
                break;
        }
    }
    const testing::ManualClock clock;
    testing::FaultyChannel channel(bytes.end().take());
    channel.bytes_per_call = *rc::gen::inRange<std::size_t>(1000, 3'000'000);
    StreamReader reader(channel, clock);
    DiskRecordList list;
    const Status decoded = DiskRecordDecoder().decode_section(reader, list);
    RC_ASSERT(decoded.has_value());
    RC_ASSERT(list.records == records);
    RC_ASSERT(!reader.peek_u8().has_value());
}

}  // namespace
}  // namespace godwit
