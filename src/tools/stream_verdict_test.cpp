#include "tools/stream_verdict.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "migration/sections.h"
#include "stream/vmstate_codec.h"
#include "tools/stream_inspector.h"
#include "tools/stream_maker_testing.h"

namespace godwit {
namespace {

using testing::SavedStreamMaker;

struct Verdict {
    std::vector<std::string> problems;
    std::vector<std::string> notes;
    std::string text;
};

Verdict judge(std::vector<std::byte> bytes, std::optional<MachineKind> machine = {}) {
    testing::ManualClock clock;
    MemoryChannel channel(std::move(bytes));
    PageIndex pages(nullptr);
    StreamVerdict verdict(pages, machine);
    StreamInspector inspector(channel, clock, verdict, {.ram = &pages});
    verdict.finish(inspector.inspect());
    const std::vector<std::string>& problems = verdict.problems();
    const std::vector<std::string>& notes = verdict.notes();
    return {problems, notes, fmt::format("{}\n{}", fmt::join(problems, "\n"), fmt::join(notes, "\n"))};
}

/// The state of a device as `layout` has it, all zeros.
template <typename State>
std::vector<std::uint8_t> state_of(const VmState& layout, const State& state = State()) {
    testing::ManualClock clock;
    MemoryChannel channel;
    StreamWriter writer(channel, clock);
    save_vmstate(layout, &state, writer);
    writer.flush();
    std::vector<std::uint8_t> bytes;
    for (const std::byte byte : channel.bytes()) {
        bytes.push_back(static_cast<std::uint8_t>(byte));
    }
    return bytes;
}

std::string blob(std::size_t size) {
    return fmt::format(R"("fields":[{{"name":"data","type":"buffer","size":{}}}])", size);
}

SavedStreamMaker& globalstate(SavedStreamMaker& maker, std::string_view run_state) {
    GlobalState global;
    global.size = static_cast<std::uint32_t>(run_state.size()) + 1;
    std::copy(run_state.begin(), run_state.end(), global.runstate.begin());
    const auto state = state_of(GlobalState::layout(), global);
    return maker.device("globalstate", 0, state, blob(state.size()));
}

std::vector<std::uint8_t> timer(std::uint8_t size = 24) {
    return std::vector<std::uint8_t>(size);
}

/// A machine `none` of godwit with one page that is not zeros.
SavedStreamMaker& none(SavedStreamMaker& maker) {
    return maker.blocks({{"ram", 2}}).begin_ram().page("ram", 0, 1).zero("ram", 1).end_ram();
}

TEST(StreamVerdict, AGoodStreamHasNoProblems) {
    SavedStreamMaker maker;
    none(maker);
    maker.device("timer", 0, timer(), blob(24), 2);
    const Verdict verdict = judge(globalstate(maker, "running").end().bytes(), MachineKind::none);
    EXPECT_TRUE(verdict.problems.empty()) << verdict.text;
    EXPECT_TRUE(verdict.notes.empty()) << verdict.text;
}

TEST(StreamVerdict, SaysWhatAMachineOfGodwitWouldRefuse) {
    struct Case {
        std::vector<std::byte> stream;
        const char* told;
    };
    const auto with = [](const char* machine, const char* device, std::uint32_t instance, std::uint8_t size) {
        SavedStreamMaker maker(machine);
        none(maker);
        return maker.device(device, instance, timer(size), blob(size), 2).end().bytes();
    };
    const Case cases[] = {
        {with("none", "timer", 0, 20), "device \"timer\" (0): its state has 20 bytes, which is too little"},
        {with("none", "timer", 0, 30), "device \"timer\" (0): its state has 30 bytes instead of 24"},
        {with("none", "timer", 1, 24), "has no device \"timer\" (1)"},
        {with("none", "serial", 0, 24), "has no device \"serial\" (0)"},
        {with("none", "serial", 0, 24), "it lacks the state of device \"timer\" (0)"},
        {with("pc", "timer", 0, 24), "it is of a machine \"pc\", not of a none"},
        {SavedStreamMaker().blocks({{"pc.ram", 1}}).end().bytes(), "a none has no RAM block \"pc.ram\""},
        {SavedStreamMaker().blocks({{"pc.ram", 1}}).end().bytes(), "it lacks the RAM block \"ram\""},
    };
    for (const Case& one : cases) {
        const Verdict verdict = judge(one.stream, MachineKind::none);
        EXPECT_NE(fmt::format("{}", fmt::join(verdict.problems, "\n")).find(one.told), std::string::npos)
            << one.told << " is not in\n"
            << verdict.text;
    }
    EXPECT_NE(
        judge(with("microvm", "timer", 0, 24), MachineKind::microvm).text.find("lacks the state of device \"cpu\""),
        std::string::npos);
}

TEST(StreamVerdict, AMicrovmHasItsFirmware) {
    const auto with = [](std::uint64_t firmware_pages) {
        SavedStreamMaker maker("microvm");
        return judge(maker.blocks({{"microvm.ram", 1}, {"pc.bios", firmware_pages}}).end().bytes(),
                     MachineKind::microvm)
            .text;
    };
    EXPECT_EQ(with(16).find("RAM block \"pc.bios\" has"), std::string::npos);
    EXPECT_NE(with(32).find("RAM block \"pc.bios\" has 131072 bytes instead of 65536"), std::string::npos);
    SavedStreamMaker without("microvm");
    EXPECT_NE(judge(without.blocks({{"microvm.ram", 1}}).end().bytes(), MachineKind::microvm)
                  .text.find("it lacks the RAM block \"pc.bios\""),
              std::string::npos);
}

TEST(StreamVerdict, WithoutAMachineOnlyWhatHoldsForAllIsJudged) {
    SavedStreamMaker maker("pc");
    maker.blocks({{"pc.ram", 2}}).begin_ram().zero("pc.ram", 0).end_ram().device("x", 0, timer(3), blob(3));
    const Verdict verdict = judge(maker.end().bytes());
    EXPECT_TRUE(verdict.problems.empty()) << verdict.text;
    ASSERT_EQ(verdict.notes.size(), 1U) << verdict.text;
    EXPECT_EQ(verdict.notes[0].find("1 of 2 pages of RAM block \"pc.ram\" were never sent"), 0U) << verdict.text;
}

TEST(StreamVerdict, WhatNoDestinationTakesIsAProblem) {
    struct Case {
        std::vector<std::byte> stream;
        const char* told;
    };
    SavedStreamMaker twice;
    twice.device("x", 0, {1}, blob(1)).device("x", 0, {1}, blob(1)).end();
    SavedStreamMaker odd_state;
    globalstate(odd_state, "sideways").end();
    SavedStreamMaker lists_twice;
    lists_twice.blocks({{"ram", 1}}).blocks({{"ram", 1}}).end();
    SavedStreamMaker early_delta;
    early_delta.blocks({{"ram", 1}}).begin_ram().delta("ram", 0, 1).end_ram().end();
    SavedStreamMaker outside;
    outside.blocks({{"ram", 1}}).begin_ram().zero("ram", 1).end_ram().end();
    constexpr auto commit = static_cast<std::uint16_t>(format::Command::commit);
    EXPECT_TRUE(judge(SavedStreamMaker().end().command(commit).bytes()).problems.empty());
    const Case cases[] = {
        {twice.bytes(), "section \"x\" (0) at byte 38 comes twice"},
        {odd_state.bytes(), "run state that no guest to move can have: 'sideways'"},
        {lists_twice.bytes(), "is announced twice"},
        {early_delta.bytes(), "a delta to page 0 of RAM block \"ram\", which was never sent"},
        {outside.bytes(), "is outside RAM block \"ram\""},
        {SavedStreamMaker().command(77).end().bytes(), "command 77 at byte 17: it is not supported"},
        {SavedStreamMaker().command(commit).end().bytes(), "a COMMIT has no payload and comes after the description"},
        {SavedStreamMaker().command(commit).command(commit).end().bytes(), "nothing may follow a COMMIT"},
        {SavedStreamMaker().end(false).command(commit).bytes(), "comes after the description"},
        {SavedStreamMaker().end(false).bytes(), "it has no description at its end"},
        {SavedStreamMaker().bytes(), "the stream ends without its EOF byte"},
        {SavedStreamMaker().end().device("x", 0, {}, "").bytes(), "the stream goes on after its end"},
    };
    for (const Case& one : cases) {
        const Verdict verdict = judge(one.stream);
        EXPECT_NE(fmt::format("{}", fmt::join(verdict.problems, "\n")).find(one.told), std::string::npos)
            << one.told << " is not in\n"
            << verdict.text;
    }
}

TEST(StreamVerdict, NoStreamWithAFlippedBitEndsInAnythingButAVerdict) {
    SavedStreamMaker maker;
    none(maker);
    maker.begin_ram().delta("ram", 0, 3).end_ram().device("timer", 0, timer(), blob(24), 2);
    const std::vector<std::byte> whole = globalstate(maker, "paused").end().bytes();
    ASSERT_TRUE(judge(whole, MachineKind::none).problems.empty()) << judge(whole, MachineKind::none).text;
    std::size_t refused = 0;
    for (std::size_t bit = 0; bit < 8 * whole.size(); bit += bit < 1600 ? 1 : 37) {
        std::vector<std::byte> bent = whole;
        bent[bit / 8] ^= std::byte{1} << bit % 8;
        refused += judge(bent, MachineKind::none).problems.empty() ? 0U : 1U;
    }
    EXPECT_GT(refused, 100U);
    for (std::size_t size = 0; size < whole.size(); size += 11) {
        const Verdict verdict =
            judge({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}, MachineKind::none);
        EXPECT_FALSE(verdict.problems.empty()) << size;
    }
}

}  // namespace
}  // namespace godwit
