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

INSTANTIATE_TEST_SUITE_P(Tracking, EmulatorDirtyTest,
                         ::testing::Values(EmulatorTracking::automatic, EmulatorTracking::write_hook),
                         [](const auto& each) {
                             return each.param == EmulatorTracking::automatic ? "kernel" : "hook";
                         });

}  // namespace

}  // namespace godwit
