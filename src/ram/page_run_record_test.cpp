// Runs of pages under one head: what the sink makes of pages, and what the loader takes.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "ram/loader.h"
#include "ram/stream_page_sink.h"
#include "ram/testing.h"
#include "stream/format.h"
#include "stream/testing.h"

namespace godwit {
namespace {

using testing::FaultyChannel;
using testing::ManualClock;
using testing::VectorMemory;

constexpr std::size_t pages = 600;
constexpr std::uint64_t head_bytes = 12;
constexpr std::uint64_t name_bytes = 2;
constexpr std::uint64_t end_bytes = 8;

/// One section of a stream, from memory that has something else in each page to memory that has none of it.
struct Section {
    Section() {
        for (std::size_t page = 0; page < pages; ++page) {
            from.fill(0, page, static_cast<int>(page + 1));
        }
        from.fill(1, 3, 77);
        sink.allow_runs();
    }

    std::uint64_t put(std::size_t page, std::size_t block = 0) {
        return sink.put_page(block, PageNumber(page), from.blocks()[block].host + page * page_bytes).queued.value();
    }

    void put_head(std::uint64_t offset, std::uint32_t count) {
        writer.put_u64(offset | format::ram_flag::page_run);
        writer.put_string8("a");
        writer.put_u32(count);
    }

    void end() {
        sink.end_pages();
        writer.put_u64(format::ram_flag::eos);
        writer.flush();
    }

    Status load(std::size_t bytes_per_call = 1 << 20) {
        channel.bytes_per_call = bytes_per_call;
        StreamReader reader(channel, clock);
        return loader.load_section(reader);
    }

    ManualClock clock;
    FaultyChannel channel;
    StreamWriter writer{channel, clock};
    VectorMemory from{{{"a", pages}, {"b", 8}}};
    VectorMemory to{{{"a", pages}, {"b", 8}}};
    StreamPageSink sink{writer, from};
    RamLoader loader{to};
};

TEST(PageRunRecord, PagesInOrderShareHeadsAndArriveWhateverTheReadsLookLike) {
    for (const std::size_t step : {7UL, 1000UL, 4096UL, 100'000UL, 1UL << 21}) {
        SCOPED_TRACE(step);
        Section section;
        std::uint64_t queued = 0;
        for (std::size_t page = 0; page < pages; ++page) {
            queued += section.put(page);
        }
        queued += section.put(3, 1);
        EXPECT_EQ(queued, (pages + 1) * page_bytes + 4 * head_bytes) << "256, 256 and 88 pages, and one";
        section.end();
        EXPECT_EQ(section.writer.bytes_written(), queued + 2 * name_bytes + end_bytes);
        ASSERT_TRUE(section.load(step));
        EXPECT_TRUE(section.to.same_as(section.from));
        EXPECT_EQ(section.loader.normal_pages(), pages + 1);
    }
}

TEST(PageRunRecord, AnythingElseInBetweenEndsARun) {
    Section section;
    const std::vector<std::byte> elsewhere(page_bytes, std::byte{9});
    section.put(0);
    section.put(1);
    section.sink.put_zero_page(0, PageNumber(2));
    section.put(3);
    section.put(4);
    section.put(6);
    section.put(5);
    section.sink.put_page(0, PageNumber(6), elsewhere.data());  // as from a cache
    section.put(7);
    section.sink.put_delta(0, PageNumber(7), {});
    section.put(8);
    section.sink.flush();
    section.put(9);
    section.end();
    ASSERT_TRUE(section.load());
    EXPECT_EQ(section.loader.normal_pages(), 10U);
    EXPECT_EQ(section.loader.zero_pages(), 1U);
    EXPECT_EQ(section.loader.delta_pages(), 1U);
    const auto same = [&](std::size_t page) {
        return std::memcmp(section.from.blocks()[0].host + page * page_bytes,
                           section.to.blocks()[0].host + page * page_bytes, page_bytes) == 0;
    };
    for (const std::size_t page : {0UL, 1UL, 3UL, 4UL, 5UL, 7UL, 8UL, 9UL}) {
        EXPECT_TRUE(same(page)) << page;
    }
    EXPECT_EQ(section.to.blocks()[0].host[2 * page_bytes], std::byte{0});
    EXPECT_EQ(section.to.blocks()[0].host[6 * page_bytes], std::byte{9});
}

TEST(PageRunRecord, WithoutLeavePagesTravelOneByOne) {
    Section section;
    StreamPageSink plain(section.writer, section.from);
    for (std::size_t page = 0; page < 10; ++page) {
        plain.put_page(0, PageNumber(page), section.from.blocks()[0].host + page * page_bytes);
    }
    section.end();
    EXPECT_EQ(section.writer.bytes_written(), 10 * (8 + page_bytes) + name_bytes + end_bytes);
    EXPECT_TRUE(section.load());
}

TEST(PageRunRecord, BadRunsAreErrorsBeforeMemoryIsTouched) {
    struct Case {
        std::uint64_t offset;
        std::uint32_t count;
    };
    constexpr std::uint64_t end = pages * page_bytes;
    for (const Case& bad : {Case{0, 0}, Case{0, format::max_run_pages + 1}, Case{0, ~std::uint32_t{0}},
                            Case{end - page_bytes, 2}, Case{end, 1}, Case{std::uint64_t{0} - page_bytes, 2}}) {
        SCOPED_TRACE(bad.count);
        Section section;
        section.put_head(bad.offset, bad.count);
        for (int page = 0; page < 2; ++page) {
            section.writer.put_bytes(std::vector<std::byte>(page_bytes, std::byte{1}));
        }
        section.end();
        const Status loaded = section.load();
        ASSERT_FALSE(loaded);
        EXPECT_EQ(loaded.error().code, ErrorCode::stream_corrupt);
        EXPECT_TRUE(section.to.same_as(VectorMemory({{"a", pages}, {"b", 8}})));
    }
}

TEST(PageRunRecord, ARunThatIsCutShortIsATruncatedStream) {
    Section section;
    section.put_head(0, 3);
    section.writer.put_bytes(std::vector<std::byte>(page_bytes + 100, std::byte{1}));
    section.writer.flush();
    const Status loaded = section.load();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, ErrorCode::stream_truncated);
}

}  // namespace
}  // namespace godwit
