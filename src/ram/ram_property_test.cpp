// Memory that is written while it is sent, in rounds of any size, arrives as it is in the end.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "ram/loader.h"
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

/// A guest that writes whole pages and sometimes zeros.
void write_pages(VectorMemory& memory, ScriptedDirty& dirty, std::size_t pages) {
    const auto written = *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, pages));
    for (const std::size_t page : written) {
        if (*rc::gen::inRange(0, 3) == 0) {
            RC_ASSERT(memory.make_zero(0, PageNumber(page), PageCount(1)).has_value());
        } else {
            memory.fill(0, page, *rc::gen::arbitrary<int>());
        }
        dirty.marked.push_back(page);
    }
}

RC_GTEST_PROP(RamProperty, MemoryThatIsWrittenOnTheWayArrives, (bool fresh, bool in_runs)) {
    const auto pages = *rc::gen::inRange<std::size_t>(1, 200);
    VectorMemory from({{"a", pages}, {"b", 3}});
    ScriptedDirty dirty(pages);
    from.fill(1, 1, 7);
    write_pages(from, dirty, pages);

    const ManualClock clock;
    FaultyChannel channel;
    StreamWriter writer(channel, clock);
    StreamPageSink sink(writer, from);
    if (in_runs) {
        sink.allow_runs();
    }
    RamSaver saver(from, dirty);
    saver.put_block_list(writer);
    writer.put_u64(format::ram_flag::eos);
    saver.mark_all();
    std::size_t sections = 1;
    const auto section = [&](ByteCount budget) {
        RC_ASSERT(saver.send(sink, budget).has_value());
        sink.flush();
        writer.put_u64(format::ram_flag::eos);
        ++sections;
    };
    const auto rounds = *rc::gen::inRange(0, 12);
    for (int round = 0; round < rounds; ++round) {
        section(ByteCount(*rc::gen::inRange<std::uint64_t>(1, 300'000)));
        write_pages(from, dirty, pages);
        RC_ASSERT(saver.collect().has_value());
        if (saver.pass_done()) {
            saver.begin_pass();
        }
    }
    RC_ASSERT(saver.collect().has_value());
    saver.begin_pass();
    section(ByteCount(1 << 30));
    writer.flush();
    RC_ASSERT(saver.remaining_pages() == 0U);

    VectorMemory to({{"a", pages}, {"b", 3}}, fresh);
    if (!fresh) {
        to.fill(0, pages - 1, 99);
    }
    channel.bytes_per_call = *rc::gen::inRange<std::size_t>(1, 9000);
    StreamReader reader(channel, clock);
    RamLoader loader(to);
    for (std::size_t i = 0; i < sections; ++i) {
        RC_ASSERT(loader.load_section(reader).has_value());
    }
    RC_ASSERT(loader.finish().has_value());
    RC_ASSERT(to.same_as(from));
    RC_ASSERT(loader.normal_pages() == saver.normal_pages());
    RC_ASSERT(loader.zero_pages() == saver.zero_pages());
}

}  // namespace
}  // namespace godwit
