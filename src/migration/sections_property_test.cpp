// The frames of sections: whatever states they hold, a reader finds each where it begins and where it ends.
#include "migration/sections.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <deque>

#include "stream/layout_testing.h"
#include "stream/testing.h"
#include "stream/vmstate_codec.h"

namespace godwit {
namespace {

using format::SectionType;
using testing::FaultyChannel;
using testing::ManualClock;
using testing::RandomLayout;

struct RandomSection {
    std::uint32_t id = 0;
    std::string name;
    std::uint32_t instance = 0;
    RandomLayout state;
};

std::deque<RandomSection> any_sections() {
    std::deque<RandomSection> sections(*rc::gen::inRange<std::size_t>(0, 8));
    std::uint32_t id = 0;
    for (RandomSection& section : sections) {
        section.id = id += *rc::gen::inRange<std::uint32_t>(1, 1000);
        section.name = *rc::gen::string<std::string>();
        RC_PRE(section.name.size() <= 255);
        section.instance = *rc::gen::arbitrary<std::uint32_t>();
    }
    return sections;
}

void write(const std::deque<RandomSection>& sections, bool footers, Channel& channel) {
    const ManualClock clock;
    StreamWriter writer(channel, clock);
    SectionWriter frames(writer, footers);
    for (const RandomSection& section : sections) {
        frames.begin_named(SectionType::full, section.id, section.name, section.instance,
                           section.state.layout().version());
        save_vmstate(section.state.layout(), section.state.data().data(), writer);
        frames.end();
    }
    writer.put_u8(static_cast<std::uint8_t>(SectionType::eof));
    writer.flush();
    RC_ASSERT(writer.ok());
}

void read_one(const RandomSection& section, bool footers, StreamReader& reader) {
    RC_ASSERT(reader.get_u8() == static_cast<std::uint8_t>(SectionType::full));
    RC_ASSERT(reader.get_u32() == section.id);
    RC_ASSERT(reader.get_string8() == section.name);
    RC_ASSERT(reader.get_u32() == section.instance);
    std::vector<std::byte> data(section.state.data().size());
    RC_ASSERT(load_vmstate(section.state.layout(), data.data(), reader.get_u32(), reader).has_value());
    RC_ASSERT(data == section.state.data());
    if (footers) {
        RC_ASSERT(reader.get_u8() == static_cast<std::uint8_t>(SectionType::footer));
        RC_ASSERT(reader.get_u32() == section.id);
    }
}

RC_GTEST_PROP(SectionProperty, AnySectionsAreFoundWhereTheyAre, (bool footers)) {
    const std::deque<RandomSection> sections = any_sections();
    FaultyChannel channel;
    write(sections, footers, channel);
    channel.bytes_per_call = *rc::gen::inRange<std::size_t>(1, 200);
    const ManualClock clock;
    StreamReader reader(channel, clock);
    for (const RandomSection& section : sections) {
        read_one(section, footers, reader);
    }
    RC_ASSERT(reader.get_u8() == static_cast<std::uint8_t>(SectionType::eof));
    RC_ASSERT(reader.ok());
    RC_ASSERT(!reader.peek_u8());
}

RC_GTEST_PROP(SectionProperty, ARunStateTravelsByItsName, ()) {
    using enum RunState;
    const RunState state = *rc::gen::element(prelaunch, running, paused, finish_migrate, postmigrate, shutdown);
    const auto name = GlobalState::from(state).name();
    RC_ASSERT(name.has_value());
    RC_ASSERT(run_state_from_string(*name) == state);
}

}  // namespace
}  // namespace godwit
