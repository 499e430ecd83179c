#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "io/event_loop.h"
#include "io/test_support.h"
#include "machine/emulator_test_machine.h"
#include "machine/kvm_test_guests.h"
#include "machine/vcpu_set.h"

namespace godwit {

namespace {

using testing::EmulatorTestMachine;
using Words = std::vector<std::uint64_t>;

class EmulatorDirtyTest : public ::testing::TestWithParam<EmulatorTracking> {
protected:
    Words collected() {
        Words words(machine.bytes() / page_bytes / 64);
        EXPECT_TRUE(machine.dirty_source().collect(0, words));
        return words;
    }
    static Words only(std::initializer_list<unsigned> pages) {
        Words words(4);
        for (const unsigned page : pages) {
            words[page / 64] |= std::uint64_t{1} << page % 64;
        }
        return words;
    }

    EmulatorTestMachine machine{GetParam()};
};

TEST_P(EmulatorDirtyTest, Exactly_the_written_pages_are_reported_once) {
    machine.boot(testing::writer_guest);
    machine.port.inputs = {0x2'0000};
    machine.run_to_out();
    ASSERT_TRUE(machine.dirty_source().start());
    // The last one spans two pages.
    machine.port.inputs = {0x3'0000, 0x8'5ffc, 0x4'0ffe};
    for (int n = 0; n < 3; ++n) {
        machine.run_to_out();
    }
    EXPECT_EQ(collected(), only({0x30, 0x85, 0x40, 0x41}));
    EXPECT_EQ(collected(), only({}));
    machine.dirty_source().mark(0, PageNumber(7), PageCount(1));
    EXPECT_EQ(collected(), only({7}));
    machine.dirty_source().stop();
    machine.port.inputs = {0x5'0000};
    machine.run_to_out();
    ASSERT_TRUE(machine.dirty_source().start());
    EXPECT_EQ(collected(), only({}));
    machine.dirty_source().stop();
}

TEST_P(EmulatorDirtyTest, While_it_runs_no_write_is_lost) {
    // inc the word of each of 64 pages at 0x40000, again and again:
    // 1: mov $0x40000,%eax; 2: incl (%eax); add $4096,%eax; cmp $0x80000,%eax; jb 2; jmp 1
    machine.boot({0xb8, 0, 0, 4, 0, 0xff, 0x00, 0x05, 0, 0x10, 0, 0, 0x3d, 0, 0, 8, 0, 0x72, 0xf2, 0xeb, 0xeb});
    EventLoop loop;
    VcpuSet vcpus(machine.machine(), 1, machine.buses(), [] {});
    ASSERT_TRUE(vcpus.start(loop));
    vcpus.resume();
    const std::atomic_ref counter(*reinterpret_cast<std::uint32_t*>(machine.host() + 0x4'0000));
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    const auto wait_for = [&](std::uint32_t value) {
        while (counter.load() < value && std::chrono::steady_clock::now() < deadline) {
            std::this_thread::yield();
        }
        return counter.load() >= value;
    };
    ASSERT_TRUE(wait_for(1));
    ASSERT_TRUE(machine.dirty_source().start());
    const std::uint32_t begin = counter.load();
    // A copy that is kept right by what is reported.
    std::vector<std::byte> copy(machine.host(), machine.host() + machine.bytes());
    const auto take_over = [&](const Words& words) {
        for (std::size_t page = 0; page < machine.bytes() / page_bytes; ++page) {
            if ((words[page / 64] >> page % 64 & 1) != 0) {
                std::memcpy(copy.data() + page * page_bytes, machine.host() + page * page_bytes, page_bytes);
            }
        }
    };
    for (int round = 0; round < 300; ++round) {
        ASSERT_TRUE(wait_for(begin + static_cast<std::uint32_t>(round)));
        take_over(collected());
    }
    ASSERT_TRUE(vcpus.pause());
    take_over(collected());
    machine.dirty_source().stop();
    EXPECT_EQ(std::memcmp(copy.data(), machine.host(), machine.bytes()), 0);
}

TEST_P(EmulatorDirtyTest, Tracking_begins_and_ends_under_a_guest_whose_segments_cannot_be_told) {
    const std::uint64_t table[] = {0, 0x00cf'9b00'0000'ffff, 0x00cf'9300'0000'ffff, 0x0040'9301'2000'0fff};
    std::memcpy(machine.host() + 0x3000, table, sizeof table);
    // mov $0x18,%eax; mov %eax,%es; movl $0,0x301c; 1: in $0x80,%eax; incl %es:(%eax); out %eax,$0x80; jmp 1
    machine.boot({0xb8, 0x18, 0, 0, 0,    0x8e, 0xc0, 0xc7, 0x05, 0x1c, 0x30, 0,    0,
                  0,    0,    0, 0, 0xe5, 0x80, 0x26, 0xff, 0x00, 0xe7, 0x80, 0xeb, 0xf7});
    VcpuState state = machine.state();
    state.cpu.gdt = {.selector = 0, .base = 0x3000, .limit = sizeof table - 1, .flags = 0};
    ASSERT_TRUE(machine.vcpu().load(state));
    machine.port.inputs = {0x100, 0x100, 0x100, 0x100};
    const auto bump = [&] {
        machine.run_to_out();
        return machine.get<std::uint32_t>(0x1'2100);
    };
    EXPECT_EQ(bump(), 1U);
    ASSERT_FALSE(machine.vcpu().save(state)) << "the segment can be told";
    for (const std::uint32_t count : {2U, 4U}) {
        ASSERT_TRUE(machine.dirty_source().start());
        EXPECT_EQ(bump(), count);
        EXPECT_EQ(collected(), only({0x12}));
        machine.dirty_source().stop();
        if (count == 2) {
            EXPECT_EQ(bump(), 3U);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Tracking, EmulatorDirtyTest,
                         ::testing::Values(EmulatorTracking::automatic, EmulatorTracking::write_hook),
                         [](const auto& each) {
                             return each.param == EmulatorTracking::automatic ? "kernel" : "hook";
                         });

}  // namespace

}  // namespace godwit
