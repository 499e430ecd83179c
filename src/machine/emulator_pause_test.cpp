#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "io/event_loop.h"
#include "machine/emulator_test_machine.h"
#include "machine/vcpu_set.h"

namespace godwit {

namespace {

using testing::EmulatorTestMachine;
using Code = std::vector<std::uint8_t>;

constexpr std::uint32_t from = 1U << 20;
constexpr std::uint32_t to = 32U << 20;
constexpr std::size_t memory_bytes = std::size_t{64} << 20;

/// Where `repeated` has the instruction.
constexpr std::uint64_t at_instruction = EmulatorTestMachine::code_address + 17;

/// The instruction with REP, from `from` to `to`, then what follows.
Code repeated(std::uint8_t opcode, std::uint32_t count, const Code& following) {
    Code code;
    const auto load = [&code](std::uint8_t mov, std::uint32_t value) {
        code.push_back(mov);
        for (unsigned n = 0; n < 4; ++n) {
            code.push_back(static_cast<std::uint8_t>(value >> (8 * n)));
        }
    };
    load(0xbe, from);                                     // mov $from,%esi
    load(0xbf, to);                                       // mov $to,%edi
    load(0xb9, count);                                    // mov $count,%ecx
    code.insert(code.end(), {0x31, 0xc0, 0xf3, opcode});  // xor %eax,%eax; rep
    code.insert(code.end(), following.begin(), following.end());
    return code;
}

/// For how long threads of this process have been ready while others ran.
std::chrono::nanoseconds waited_for_a_processor() {
    std::chrono::nanoseconds waited{0};
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream file(thread.path() / "schedstat");
        std::int64_t ran_ns = 0;
        std::int64_t waited_ns = 0;
        // One that has ended in the meantime has none.
        if (file >> ran_ns >> waited_ns) {
            waited += std::chrono::nanoseconds(waited_ns);
        }
    }
    return waited;
}

/// How long a pause takes. The host may be busy: without the time in which threads waited for a processor.
std::chrono::nanoseconds time_pause(VcpuSet& vcpus) {
    const auto waited = waited_for_a_processor();
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(vcpus.pause());
    const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - start;
    return std::max(std::chrono::nanoseconds(0), took - (waited_for_a_processor() - waited));
}

std::chrono::nanoseconds median(std::vector<std::chrono::nanoseconds> times) {
    EXPECT_FALSE(times.empty());
    std::sort(times.begin(), times.end());
    return times.empty() ? std::chrono::nanoseconds::max() : times[times.size() / 2];
}

TEST(EmulatorPauseTest, It_pauses_within_10_ms_whatever_it_does) {
    // A loop of two instructions; a string instruction over half a megabyte; a look at a device.
    const std::vector<std::uint8_t> codes[] = {
        {0xff, 0xc0, 0xeb, 0xfc},
        {0xbf, 0x00, 0x00, 0x04, 0x00, 0xb9, 0x00, 0x00, 0x02, 0x00, 0xf3, 0xab, 0xeb, 0xf2},
        {0xa1, 0x00, 0x00, 0xb0, 0xfe, 0xeb, 0xf9},
        {0xf4},
    };
    for (const std::vector<std::uint8_t>& code : codes) {
        EmulatorTestMachine own;
        own.boot(code);
        EventLoop loop;
        VcpuSet vcpus(own.machine(), 1, own.buses(), [] {});
        ASSERT_TRUE(vcpus.start(loop));
        std::vector<std::chrono::nanoseconds> times;
        for (int n = 0; n < 15; ++n) {
            vcpus.resume();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            times.push_back(time_pause(vcpus));
        }
        EXPECT_LT(median(times), std::chrono::milliseconds(10));
    }
}

struct StringInstruction {
    const char* name;
    std::uint8_t opcode;
    std::uint32_t count;  ///< so many that it takes a quarter of a second
};

void PrintTo(const StringInstruction& instruction, std::ostream* out) {
    *out << instruction.name;
}

using Parameters = std::tuple<StringInstruction, EmulatorTracking>;

class StringInstructionTest : public ::testing::TestWithParam<Parameters> {};

TEST_P(StringInstructionTest, Pauses_in_its_middle_within_10_ms) {
    const auto& [instruction, tracking] = GetParam();
    EmulatorTestMachine machine(tracking, memory_bytes);
    machine.boot(repeated(instruction.opcode, instruction.count, {0xeb, 0xfe}));
    ASSERT_TRUE(machine.dirty_source().start());
    EventLoop loop;
    VcpuSet vcpus(machine.machine(), 1, machine.buses(), [] {});
    ASSERT_TRUE(vcpus.start(loop));
    // Those that came while the instruction was at work.
    constexpr std::size_t enough = 15;
    std::vector<std::chrono::nanoseconds> times;
    std::uint64_t rip = 0;
    while (rip <= at_instruction && times.size() < enough) {
        vcpus.resume();
        std::this_thread::yield();
        const std::chrono::nanoseconds took = time_pause(vcpus);
        const VcpuState state = machine.state();
        rip = state.cpu.rip;
        if (rip == at_instruction && state.cpu.regs[CpuState::rcx] < instruction.count) {
            times.push_back(took);
        }
    }
    EXPECT_LT(median(times), std::chrono::milliseconds(10));
}

INSTANTIATE_TEST_SUITE_P(All, StringInstructionTest,
                         ::testing::Combine(::testing::Values(StringInstruction{"stosb", 0xaa, 28U << 20},
                                                              StringInstruction{"movsb", 0xa4, 28U << 20},
                                                              StringInstruction{"movsl", 0xa5, 7U << 20},
                                                              StringInstruction{"scasb", 0xae, 28U << 20},
                                                              StringInstruction{"cmpsb", 0xa6, 28U << 20}),
                                            ::testing::Values(EmulatorTracking::automatic,
                                                              EmulatorTracking::write_hook)),
                         [](const ::testing::TestParamInfo<Parameters>& each) {
                             return std::string(std::get<0>(each.param).name) +
                                    (std::get<1>(each.param) == EmulatorTracking::automatic ? "" : "_with_hook");
                         });

class StoppedCopyTest : public ::testing::TestWithParam<EmulatorTracking> {};

TEST_P(StoppedCopyTest, Copies_and_marks_what_one_that_is_not_stopped_does) {
    constexpr std::uint32_t bytes = 2U << 20;
    EmulatorTestMachine machine(GetParam(), memory_bytes);
    for (std::uint32_t n = 0; n < bytes; n += 4) {
        machine.put<std::uint32_t>(from + n, n * 2654435761U + 1);
    }
    machine.boot(repeated(0xa4, bytes, {0xe7, 0x80, 0xeb, 0xfe}));  // rep movsb; out %eax,$0x80; jmp .
    ASSERT_TRUE(machine.dirty_source().start());
    std::atomic<bool> end = false;
    std::thread interrupter([&] {
        while (!end) {
            machine.vcpu().interrupt();
            std::this_thread::yield();
        }
    });
    std::size_t stops = 0;
    while (machine.port.told.empty()) {
        if (machine.run().kind == ExitOutcome::Kind::interrupted && ++stops % 64 == 0) {
            // As if it had arrived here in the middle of the instruction.
            EXPECT_TRUE(machine.vcpu().load(machine.state()));
        }
    }
    end = true;
    interrupter.join();
    EXPECT_GT(stops, 0U);
    EXPECT_EQ(std::memcmp(machine.host() + from, machine.host() + to, bytes), 0);
    std::vector<std::uint64_t> words(machine.bytes() / page_bytes / 64);
    EXPECT_TRUE(machine.dirty_source().collect(0, words));
    std::vector<std::uint64_t> expected(words.size());
    for (std::size_t page = to / page_bytes; page < (to + bytes) / page_bytes; ++page) {
        expected[page / 64] |= std::uint64_t{1} << page % 64;
    }
    EXPECT_EQ(words, expected);
}

INSTANTIATE_TEST_SUITE_P(All, StoppedCopyTest,
                         ::testing::Values(EmulatorTracking::automatic, EmulatorTracking::write_hook),
                         [](const ::testing::TestParamInfo<EmulatorTracking>& each) {
                             return std::string(each.param == EmulatorTracking::automatic ? "automatic" : "with_hook");
                         });

}  // namespace

}  // namespace godwit
