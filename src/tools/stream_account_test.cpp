#include "tools/stream_account.h"

#include <gtest/gtest.h>

#include "stream/commands.h"
#include "stream/testing.h"
#include "stream/writer.h"
#include "tools/return_account.h"

namespace godwit {
namespace {

constexpr std::string_view description =
    R"({"page_size":4096,"devices":[{"name":"dev","instance_id":3,"version":1,"fields":[{"name":"a","size":4}]}]})";
constexpr std::uint32_t ram_id = 2;

void footer(StreamWriter& writer, std::uint32_t id) {
    writer.put_u8(0x7e);
    writer.put_u32(id);
}

void put_ram(StreamWriter& writer, format::SectionType type) {
    writer.put_u8(static_cast<std::uint8_t>(type));
    writer.put_u32(ram_id);
    writer.put_u64(0 | format::ram_flag::page);
    writer.put_string8("ram");
    writer.put_zeros(page_bytes);
    writer.put_u64(page_bytes | format::ram_flag::zero | format::ram_flag::same_block);
    writer.put_u8(0);
    writer.put_u64(format::ram_flag::eos);
    footer(writer, ram_id);
}

struct Parts {
    bool commands = true;
    bool commit = true;
};

std::vector<std::byte> make_stream(Parts parts = {}) {
    testing::ManualClock clock;
    MemoryChannel channel;
    StreamWriter writer(channel, clock);
    writer.put_u32(format::file_magic);
    writer.put_u32(format::file_version);
    writer.put_u8(0x07);
    writer.put_u32(4);
    writer.put_text("none");
    if (parts.commands) {
        put_command(writer, format::Command::open_return_path, 0);
        put_ping(writer, 1);
    }
    writer.put_u8(0x01);
    writer.put_u32(ram_id);
    writer.put_string8("ram");
    writer.put_u32(0);
    writer.put_u32(format::ram_version);
    writer.put_u64(2 * page_bytes | format::ram_flag::mem_size);
    writer.put_string8("ram");
    writer.put_u64(2 * page_bytes);
    writer.put_u64(format::ram_flag::eos);
    footer(writer, ram_id);
    put_ram(writer, format::SectionType::part);
    if (parts.commands) {
        put_ping(writer, 2);
    }
    put_ram(writer, format::SectionType::end);
    writer.put_u8(0x04);
    writer.put_u32(4);
    writer.put_string8("dev");
    writer.put_u32(3);
    writer.put_u32(1);
    writer.put_u32(7);
    footer(writer, 4);
    if (parts.commands) {
        put_ping(writer, 3);
    }
    writer.put_u8(0x00);
    writer.put_u8(0x06);
    writer.put_u32(static_cast<std::uint32_t>(description.size()));
    writer.put_text(description);
    if (parts.commit) {
        put_command(writer, format::Command::commit, 0);
    }
    writer.flush();
    return channel.take();
}

Instant arrival(std::uint64_t position) {
    return Instant(std::chrono::microseconds(position));
}

StreamReport account_of(std::vector<std::byte> bytes) {
    testing::ManualClock clock;
    MemoryChannel channel(std::move(bytes));
    StreamAccount account(channel, clock, arrival, nullptr);
    account.read();
    return account.take_report();
}

TEST(StreamAccount, CountsWhatAStreamHolds) {
    const std::vector<std::byte> stream = make_stream();
    const StreamReport report = account_of(stream);
    ASSERT_FALSE(report.undecoded) << report.undecoded->reason.message;
    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.machine_type, "none");
    EXPECT_TRUE(report.return_path_opened);
    EXPECT_EQ(report.commands, 5U);
    EXPECT_EQ(report.pings, 3U);
    EXPECT_EQ(report.start_sections + report.part_sections + report.end_sections, 3U);
    EXPECT_EQ(report.passes, 2U);
    ASSERT_EQ(report.blocks.size(), 1U);
    EXPECT_EQ(report.blocks[0].id, "ram");
    EXPECT_EQ(report.blocks[0].counts,
              (RamCensus::Counts{.normal = 2, .normal_bytes = 2 * (8 + page_bytes), .zero = 2}));
    EXPECT_EQ(report.blocks[0].pages_again, 2U);
    ASSERT_EQ(report.devices.size(), 1U);
    EXPECT_EQ(report.devices[0].name, "dev");
    EXPECT_EQ(report.devices[0].bytes, 4U);
}

TEST(StreamAccount, TellsWhenTheGuestStoppedAndWhenItsMachineWasThere) {
    const std::vector<std::byte> stream = make_stream();
    const StreamReport report = account_of(stream);
    constexpr std::uint64_t commit_bytes = 5;
    EXPECT_EQ(report.committed, arrival(stream.size() - 1));
    EXPECT_EQ(report.machine_ended, arrival(stream.size() - 1 - commit_bytes));
    ASSERT_TRUE(report.switchover_began);
    EXPECT_LT(*report.switchover_began, *report.machine_ended);
    EXPECT_GT(*report.switchover_began, arrival(page_bytes));
    EXPECT_FALSE(account_of(make_stream({.commit = false})).committed);
}

TEST(StreamAccount, EveryTruncationIsTold) {
    const std::vector<std::byte> whole = make_stream({.commit = false});
    for (std::size_t size = 0; size < whole.size(); size += size % 4096 < 300 ? 1 : 97) {
        const StreamReport report = account_of({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
        EXPECT_FALSE(report.complete) << size;
        EXPECT_TRUE(report.undecoded) << size;
    }
}

TEST(StreamAccount, WhatIsNoMigrationIsUndecodedFromItsBeginning) {
    MemoryChannel text;
    const std::string_view words = "GET / HTTP/1.1\r\n\r\n";
    const ConstBuffer bytes = std::as_bytes(std::span(words.data(), words.size()));
    ASSERT_TRUE(text.write_some({&bytes, 1}, never));
    const StreamReport report = account_of(text.take());
    ASSERT_TRUE(report.undecoded);
    EXPECT_EQ(report.undecoded->reason.code, ErrorCode::stream_corrupt);
}

/// Gives what is read to the recorder as well.
class RecordedChannel : public testing::FaultyChannel {
public:
    using FaultyChannel::FaultyChannel;
    StreamRecorder* recorder = nullptr;
    const StreamAccount* account = nullptr;

    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) override {
        const auto got = FaultyChannel::read_some(buffers, deadline);
        std::size_t left = *got;
        for (const MutableBuffer& buffer : buffers) {
            const std::size_t part = std::min(left, buffer.size());
            recorder->add(buffer.first(part), account->position());
            left -= part;
        }
        return got;
    }
};

TEST(StreamAccount, ARecordHasEverythingButTheCommands) {
    const std::vector<std::byte> expected = make_stream({.commands = false, .commit = false});
    for (const std::size_t bytes_per_call : {1UL, 7UL, 1000UL, 100'000UL}) {
        testing::ManualClock clock;
        MemoryChannel file;
        StreamRecorder recorder(file);
        RecordedChannel channel(make_stream());
        channel.bytes_per_call = bytes_per_call;
        StreamAccount account(channel, clock, arrival, &recorder);
        channel.recorder = &recorder;
        channel.account = &account;
        account.read();
        ASSERT_TRUE(account.take_report().complete);
        ASSERT_TRUE(recorder.finish());
        EXPECT_TRUE(file.bytes() == expected) << bytes_per_call;
    }
}

TEST(StreamAccount, AFileThatCannotBeWrittenDoesNotStopTheReading) {
    testing::ManualClock clock;
    testing::FaultyChannel file;
    file.fail_at_byte = 100;
    StreamRecorder recorder(file);
    RecordedChannel channel(make_stream());
    StreamAccount account(channel, clock, arrival, &recorder);
    channel.recorder = &recorder;
    channel.account = &account;
    account.read();
    EXPECT_TRUE(account.take_report().complete);
    const Status finished = recorder.finish();
    ASSERT_FALSE(finished);
    EXPECT_EQ(finished.error().code, ErrorCode::io);
}

ReturnReport answers_of(const std::function<void(StreamWriter&)>& write) {
    testing::ManualClock clock;
    MemoryChannel made;
    StreamWriter writer(made, clock);
    write(writer);
    writer.flush();
    MemoryChannel channel(made.take());
    ReturnAccount account(channel, clock, arrival);
    account.read();
    return account.take_report();
}

void put_message(StreamWriter& writer, std::uint16_t type, std::string_view payload) {
    writer.put_u16(type);
    writer.put_u16(static_cast<std::uint16_t>(payload.size()));
    writer.put_text(payload);
}

TEST(ReturnAccount, NamesWhatADestinationSays) {
    const ReturnReport report = answers_of([](StreamWriter& writer) {
        put_message(writer, 2, std::string_view("\0\0\0\1", 4));
        put_message(writer, 2, std::string_view("\0\0\1\0", 4));
        put_message(writer, 0x8002, "");
        put_message(writer, 0x8003,
                    std::string_view("\0\x2e"
                                     "no such\nblock",
                                     15));
        put_message(writer, 7, "");
        put_message(writer, 1, std::string_view("\0\0\0\1", 4));
    });
    ASSERT_FALSE(report.undecoded);
    EXPECT_EQ(report.messages, (std::map<std::string, std::uint64_t>{
                                   {"PONG", 2}, {"LOADED", 1}, {"ERROR", 1}, {"type 7", 1}, {"SHUT", 1}}));
    EXPECT_EQ(report.last_pong, 256U);
    EXPECT_EQ(report.shut, 1U);
    EXPECT_EQ(report.error, "no such\\x0ablock [ram-mismatch]");
    EXPECT_EQ(report.loaded, arrival(19));
}

TEST(ReturnAccount, AShutWithoutAStatusIsNoSuccess) {
    const ReturnReport report = answers_of([](StreamWriter& writer) { put_message(writer, 1, ""); });
    EXPECT_FALSE(report.shut);
    ASSERT_TRUE(report.undecoded);
    EXPECT_EQ(report.undecoded->reason.code, ErrorCode::stream_corrupt);
}

TEST(ReturnAccount, WhatIsTooLongOrCutOffIsUndecoded) {
    const ReturnReport too_long = answers_of([](StreamWriter& writer) { writer.put_u32(0x0002ffff); });
    ASSERT_TRUE(too_long.undecoded);
    EXPECT_EQ(too_long.undecoded->reason.code, ErrorCode::stream_corrupt);
    const ReturnReport cut_off = answers_of([](StreamWriter& writer) { writer.put_u32(0x00020004); });
    ASSERT_TRUE(cut_off.undecoded);
    EXPECT_EQ(cut_off.undecoded->reason.code, ErrorCode::stream_truncated);
    const ReturnReport many_kinds = answers_of([](StreamWriter& writer) {
        for (std::uint16_t type = 100; type < 200; ++type) {
            put_message(writer, type, "");
        }
    });
    EXPECT_TRUE(many_kinds.undecoded);
}

}  // namespace
}  // namespace godwit
