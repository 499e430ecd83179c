// A guest whose disk does not answer is stopped, moved, reset and ended: nobody waits for the disk.

#include "machine/test_disk.h"
#include "machine/test_machine.h"

namespace godwit {
namespace {

constexpr std::uint32_t marker = 0x30'0000;
constexpr std::uint32_t counter = 0x30'1000;
constexpr std::uint32_t queue = 0x40'0000;
constexpr std::uint32_t used_index = queue + 0x1002;

using Kind = MachineEvent::Kind;
using namespace std::chrono_literals;

class SlowDiskTest : public GuestTest {
protected:
    /// Gives the disk a flush, as a legacy driver does.
    static TestCode& ask_disk(TestCode& code) {
        constexpr std::uint32_t registers = 0xfeb0'0e00;
        constexpr std::uint32_t header = queue + 0x2000;
        constexpr std::uint32_t status = queue + 0x2100;
        code.store(header, 4).store(header + 4, 0).store(header + 8, 0).store(header + 12, 0);
        code.store(queue, header).store(queue + 4, 0).store(queue + 8, 16).store(queue + 12, 0x0001'0001);
        code.store(queue + 16, status).store(queue + 20, 0).store(queue + 24, 1).store(queue + 28, 2);
        code.store(queue + 0x1000, 0).store(queue + 0x84, 0).store(queue + 0x80, 0x0001'0000);
        code.store(registers + 0x28, 4096).store(registers + 0x20, 1 << 9).store(registers + 0x38, 8);
        return code.store(registers + 0x40, queue / 4096).store(registers + 0x70, 7).store(registers + 0x50, 0);
    }
    /// Asks the disk once, then counts for ever.
    static TestCode counting_guest() {
        TestCode code;
        ask_disk(code);
        const std::uint32_t again = code.here();
        return code.increment(counter).jump(again);
    }
    std::unique_ptr<VirtualMachine> make_with_disk(const MachineOptions& what) {
        auto machine = VirtualMachine::create(what, loop, clock, log, {{"d0", &disk}});
        EXPECT_TRUE(machine) << machine.error().text();
        (*machine)->set_event_handler([this](const MachineEvent& event) { events.push_back(event); });
        return std::move(*machine);
    }
    /// Runs it until its request is with the disk, which holds it.
    std::unique_ptr<VirtualMachine> boot_stuck(const TestCode& code) {
        disk.hold();
        auto machine = make_with_disk(options(code));
        EXPECT_TRUE(machine->power_on());
        EXPECT_TRUE(wait_until([&] { return disk.waiting() == 1; })) << log.text();
        return machine;
    }
    static bool is_quiet(VirtualMachine& machine) {
        const MachineLock lock(machine);
        return machine.is_quiet();
    }
    static std::uint16_t used(VirtualMachine& machine) {
        auto* host = reinterpret_cast<std::uint16_t*>(machine.memory().blocks()[0].host + used_index);
        return std::atomic_ref<std::uint16_t>(*host).load();
    }
    /// Far less than a disk takes that does not answer.
    void expect_prompt(const std::function<void()>& action) const {
        const Instant begin = clock.now();
        action();
        EXPECT_LT(clock.now() - begin, 1s);
    }

    TestDisk disk{1024 * 1024};
};

TEST_F(SlowDiskTest, AStopDoesNotWaitAndTheRequestIsCarriedOutMeanwhile) {
    const auto machine = boot_stuck(counting_guest());
    expect_prompt([&] { ASSERT_TRUE(machine->stop()); });
    EXPECT_EQ(machine->run_state(), RunState::paused);
    EXPECT_FALSE(is_quiet(*machine));
    EXPECT_EQ(used(*machine), 0);
    disk.release();
    ASSERT_TRUE(wait_until([&] { return is_quiet(*machine); }));
    EXPECT_EQ(used(*machine), 1);
    const std::uint32_t held = word(*machine, counter);
    ASSERT_TRUE(machine->cont(false));
    EXPECT_TRUE(wait_until([&] { return word(*machine, counter) > held; }));
}

TEST_F(SlowDiskTest, ASwitchoverIsQuietOnlyOnceTheDiskHasAnswered) {
    const auto machine = boot_stuck(counting_guest());
    {
        const MachineLock lock(*machine);
        expect_prompt([&] { ASSERT_TRUE(machine->stop_for_switchover()); });
        EXPECT_FALSE(machine->is_quiet());
        DeviceState* const state = machine->devices().back();
        ASSERT_EQ(state->section_name(), "virtio-mmio@00000000feb00e00/virtio-blk");
        const Status saved = state->before_save();
        ASSERT_FALSE(saved) << "a request would be lost";
        EXPECT_EQ(saved.error().code, ErrorCode::disk);
        EXPECT_NE(saved.error().message.find("disk 'd0'"), std::string::npos);
    }
    disk.release();
    ASSERT_TRUE(wait_until([&] { return is_quiet(*machine); }));
    const MachineLock lock(*machine);
    EXPECT_EQ(used(*machine), 1);
    EXPECT_TRUE(machine->devices().back()->before_save());
}

TEST_F(SlowDiskTest, ASwitchoverThatIsGivenUpLetsTheGuestGoOnAtOnce) {
    const auto machine = boot_stuck(counting_guest());
    {
        const MachineLock lock(*machine);
        ASSERT_TRUE(machine->stop_for_switchover());
        EXPECT_FALSE(machine->is_quiet());
        expect_prompt([&] { ASSERT_TRUE(machine->resume_after_failure(RunState::running)); });
    }
    const std::uint32_t held = word(*machine, counter);
    EXPECT_TRUE(wait_until([&] { return word(*machine, counter) > held; }));
    EXPECT_EQ(used(*machine), 0);
    disk.release();
    EXPECT_TRUE(wait_until([&] { return used(*machine) == 1; }));
}

class SlowResetTest : public SlowDiskTest {
protected:
    /// The first time it asks the disk and resets, the second time it counts.
    std::unique_ptr<VirtualMachine> boot_resetting() {
        TestCode first_time;
        ask_disk(first_time).store(marker, 1).print("1").out8(0x64, 0xfe).halt();
        TestCode code;
        code.skip_if_set(marker, first_time).print("2");
        const std::uint32_t again = code.here();
        auto machine = boot_stuck(code.increment(counter).jump(again));
        EXPECT_TRUE(wait_until([&] { return machine->hardware()->has_request(); }));
        EXPECT_EQ(serial(), "1");
        return machine;
    }
    /// Time for the event loop to look at the disk several times.
    void serve_loop() {
        const Instant until = clock.now() + 100ms;
        run_until([&] { return clock.now() >= until; });
    }
};

TEST_F(SlowResetTest, AResetWaitsForTheDiskWhileTheEventLoopServes) {
    const auto machine = boot_resetting();
    expect_prompt([&] { serve_loop(); });
    EXPECT_EQ(machine->run_state(), RunState::running);
    EXPECT_EQ(count(Kind::reset), 0U);
    EXPECT_EQ(serial(), "1");
    disk.release();
    ASSERT_TRUE(run_until([&] { return word(*machine, counter) > 0 && count(Kind::reset) != 0; }));
    EXPECT_EQ(serial(), "12");
    EXPECT_EQ(count(Kind::reset), 1U);
}

TEST_F(SlowResetTest, AStopMeanwhileAndAContinueDoNotLoseIt) {
    const auto machine = boot_resetting();
    serve_loop();
    expect_prompt([&] { ASSERT_TRUE(machine->stop()); });
    disk.release();
    serve_loop();
    EXPECT_EQ(count(Kind::reset), 0U) << "stopped";
    ASSERT_TRUE(machine->cont(false));
    ASSERT_TRUE(run_until([&] { return word(*machine, counter) > 0 && count(Kind::reset) != 0; }));
    EXPECT_EQ(serial(), "12");
    EXPECT_EQ(count(Kind::reset), 1U);
}

TEST_F(SlowResetTest, ASwitchoverMeanwhileMovesTheGuestAfterIt) {
    const auto machine = boot_resetting();
    {
        // The event loop has not heard of the reset yet.
        const MachineLock lock(*machine);
        ASSERT_TRUE(machine->stop_for_switchover());
        EXPECT_FALSE(machine->is_quiet());
    }
    disk.release();
    ASSERT_TRUE(wait_until([&] { return is_quiet(*machine); }));
    serve_loop();
    EXPECT_EQ(count(Kind::reset), 1U);
    EXPECT_EQ(machine->run_state(), RunState::finish_migrate);
    EXPECT_EQ(serial(), "1");
    {
        const MachineLock lock(*machine);
        ASSERT_TRUE(machine->resume_after_failure(RunState::running));
    }
    ASSERT_TRUE(run_until([&] { return word(*machine, counter) > 0 && count(Kind::reset) != 0; }));
    EXPECT_EQ(serial(), "12");
    EXPECT_EQ(count(Kind::reset), 1U);
}

TEST_F(SlowDiskTest, APowerOffDoesNotWait) {
    TestCode code;
    auto machine = boot_stuck(ask_disk(code).power_off());
    ASSERT_TRUE(run_until([&] { return find(Kind::shutdown) != nullptr; }));
    EXPECT_EQ(machine->run_state(), RunState::shutdown);
    EXPECT_EQ(disk.waiting(), 1U);
    disk.release();
}

TEST_F(SlowDiskTest, AShutdownFromOutsideDoesNotWait) {
    const auto machine = boot_stuck(counting_guest());
    machine->request_shutdown(MachineEventReason::host_signal);
    expect_prompt([&] { ASSERT_TRUE(run_until([&] { return find(Kind::shutdown) != nullptr; })); });
    EXPECT_EQ(disk.waiting(), 1U);
    disk.release();
}

}  // namespace
}  // namespace godwit
