// What a migration and a guest do to each other around the switchover.

#include "machine/cpu_reset.h"
#include "machine/test_machine.h"

namespace godwit {
namespace {

constexpr std::uint32_t marker = 0x30'0000;
constexpr std::uint32_t counter = 0x30'1000;

using Kind = MachineEvent::Kind;

Status stop_for_switchover(VirtualMachine& machine) {
    const MachineLock lock(machine);
    Status stopped = machine.stop_for_switchover();
    EXPECT_TRUE(!stopped || machine.is_quiet()) << "without disks it is quiet at once, and then a reset is carried out";
    return stopped;
}

class SwitchoverTest : public GuestTest {
protected:
    /// A guest that counts for ever.
    std::unique_ptr<VirtualMachine> boot_counting() {
        TestCode code;
        auto machine = boot(code.increment(counter).jump(TestCode::start));
        EXPECT_TRUE(wait_until([&] { return word(*machine, counter) > 0; }));
        return machine;
    }
};

TEST_F(SwitchoverTest, AFailedOneLetsTheGuestGoOn) {
    const auto machine = boot_counting();
    ASSERT_TRUE(stop_for_switchover(*machine));
    EXPECT_EQ(machine->run_state(), RunState::finish_migrate);
    const std::uint32_t held = word(*machine, counter);
    EXPECT_EQ(machine->cont(false).error().code, ErrorCode::wrong_state);
    EXPECT_EQ(machine->cont(true).error().code, ErrorCode::wrong_state) << "not even by force";
    EXPECT_EQ(machine->stop().error().code, ErrorCode::wrong_state);
    EXPECT_EQ(word(*machine, counter), held);
    {
        const MachineLock lock(*machine);
        ASSERT_TRUE(machine->resume_after_failure(RunState::running));
    }
    EXPECT_EQ(machine->run_state(), RunState::running);
    EXPECT_TRUE(wait_until([&] { return word(*machine, counter) > held; }));
    ASSERT_TRUE(run_until([&] { return events.size() == 3; }));
    EXPECT_EQ(events[1].kind, Kind::stop);
    EXPECT_EQ(events[2].kind, Kind::resume);
}

TEST_F(SwitchoverTest, APausedGuestStaysPausedAfterAFailure) {
    const auto machine = boot_counting();
    ASSERT_TRUE(machine->stop());
    const std::uint32_t held = word(*machine, counter);
    ASSERT_TRUE(stop_for_switchover(*machine));
    EXPECT_EQ(machine->run_state(), RunState::finish_migrate);
    {
        const MachineLock lock(*machine);
        ASSERT_TRUE(machine->resume_after_failure(RunState::paused));
    }
    EXPECT_EQ(machine->run_state(), RunState::paused);
    run_until([] { return true; });
    EXPECT_EQ(word(*machine, counter), held);
    EXPECT_EQ(count(Kind::stop), 1U);
    EXPECT_EQ(count(Kind::resume), 1U);
}

TEST_F(SwitchoverTest, AMovedGuestIsTakenBackByForceOnly) {
    const auto machine = boot_counting();
    ASSERT_TRUE(stop_for_switchover(*machine));
    {
        const MachineLock lock(*machine);
        machine->finish_migrated(true);
    }
    EXPECT_EQ(machine->run_state(), RunState::postmigrate);
    EXPECT_EQ(machine->ownership(), Ownership::elsewhere);
    EXPECT_EQ(machine->cont(false).error().code, ErrorCode::ownership_gone);
    EXPECT_EQ(stop_for_switchover(*machine).error().code, ErrorCode::ownership_gone);
    const std::uint32_t held = word(*machine, counter);
    ASSERT_TRUE(machine->cont(true));
    EXPECT_EQ(machine->ownership(), Ownership::here);
    EXPECT_NE(log.text().find("forced"), std::string::npos);
    EXPECT_TRUE(wait_until([&] { return word(*machine, counter) > held; }));
}

TEST_F(SwitchoverTest, AnUnknownOwnerNeedsForceToo) {
    const auto machine = boot_counting();
    ASSERT_TRUE(stop_for_switchover(*machine));
    {
        const MachineLock lock(*machine);
        machine->set_ownership_unknown();
    }
    EXPECT_EQ(machine->run_state(), RunState::paused);
    EXPECT_EQ(machine->cont(false).error().code, ErrorCode::handover_unknown);
    ASSERT_TRUE(machine->cont(true));
    EXPECT_EQ(machine->run_state(), RunState::running);
}

TEST_F(SwitchoverTest, APowerOffJustBeforeItIsCarriedOut) {
    TestCode code;
    const auto machine = boot(code.wait_for(marker).store(counter, 1).out8(0x501, 2).halt());
    set_word(*machine, marker, 1);
    // The event loop does not run meanwhile, so only the switchover can find the request.
    Status stopped;
    ASSERT_TRUE(wait_until([&] {
        stopped = stop_for_switchover(*machine);
        const MachineLock lock(*machine);
        EXPECT_TRUE(machine->resume_after_failure(RunState::running));
        return !stopped;
    }));
    EXPECT_EQ(stopped.error().code, ErrorCode::guest_gone);
    EXPECT_EQ(machine->run_state(), RunState::shutdown);
    EXPECT_EQ(machine->exit_status(), std::optional<int>(5));
    ASSERT_TRUE(run_until([&] { return find(Kind::shutdown) != nullptr; }));
    EXPECT_EQ(count(Kind::shutdown), 1U);
}

TEST_F(SwitchoverTest, AResetJustBeforeItIsCarriedOut) {
    // The word at start + 8 belongs to the image: 0 whenever it has just been loaded.
    constexpr std::uint32_t in_image = TestCode::start + 8;
    TestCode code;
    code.jump(TestCode::start + 12)
        .raw({0x90, 0x90, 0x90})
        .word(0)
        .increment(counter)
        .wait_for(marker)
        .store(in_image, 7)
        .out8(0x64, 0xfe)
        .halt();
    const auto machine = boot(code);
    ASSERT_TRUE(wait_until([&] { return word(*machine, counter) == 1; }));
    EXPECT_EQ(word(*machine, in_image), 0U);
    set_word(*machine, marker, 1);
    ASSERT_TRUE(wait_until([&] { return word(*machine, in_image) == 7; }));
    set_word(*machine, marker, 0);
    ASSERT_TRUE(wait_until([&] {
        EXPECT_TRUE(stop_for_switchover(*machine));
        const bool reset = word(*machine, in_image) == 0;
        if (!reset) {
            const MachineLock lock(*machine);
            EXPECT_TRUE(machine->resume_after_failure(RunState::running));
        }
        return reset;
    }));
    EXPECT_EQ(machine->run_state(), RunState::finish_migrate) << "reset, and stopped for the migration";
    EXPECT_EQ(word(*machine, counter), 1U) << "it has not run since";
    {
        const MachineLock lock(*machine);
        ASSERT_TRUE(machine->resume_after_failure(RunState::running));
    }
    EXPECT_TRUE(wait_until([&] { return word(*machine, counter) == 2; })) << "it starts from the beginning";
    ASSERT_TRUE(run_until([&] { return find(Kind::reset) != nullptr; }));
    EXPECT_EQ(count(Kind::reset), 1U);
}

TEST_F(SwitchoverTest, AResetWithoutAKernelEndsTheGuest) {
    // As a destination that was started without the kernel.
    MachineOptions what = options(TestCode());
    what.kernel.clear();
    what.incoming = true;
    const auto machine = make(what);
    ASSERT_TRUE(machine->power_on());
    EXPECT_EQ(machine->run_state(), RunState::inmigrate);
    const TestCode code = TestCode().out8(0x64, 0xfe).halt();
    std::copy(code.bytes().begin(), code.bytes().end(), machine->memory().blocks()[0].host + TestCode::start);
    ASSERT_TRUE(set_pvh_entry(machine->hardware()->cpu(0), GuestAddress(TestCode::start), GuestAddress(0)));
    {
        const MachineLock lock(*machine);
        ASSERT_TRUE(machine->start_after_load());
    }
    ASSERT_TRUE(run_until([&] { return find(Kind::shutdown) != nullptr; }));
    EXPECT_EQ(find(Kind::shutdown)->reason, MachineEventReason::guest_reset);
    EXPECT_NE(find(Kind::shutdown)->message.find("kernel"), std::string::npos);
}

TEST_F(SwitchoverTest, IncomingGuestsArriveInTheStateOfTheirSource) {
    const TestCode code = TestCode().halt();
    for (const auto& [sent, paused, after] : {std::tuple{"running", false, RunState::running},
                                              {"running", true, RunState::paused},
                                              {"paused", false, RunState::paused},
                                              {"prelaunch", false, RunState::prelaunch}}) {
        events.clear();
        MachineOptions what = options(code);
        what.incoming = true;
        what.paused = paused;
        const auto machine = make(what);
        ASSERT_TRUE(machine->power_on());
        std::copy(code.bytes().begin(), code.bytes().end(), machine->memory().blocks()[0].host + TestCode::start);
        ASSERT_TRUE(set_pvh_entry(machine->hardware()->cpu(0), GuestAddress(TestCode::start), GuestAddress(0)));
        {
            const MachineLock lock(*machine);
            EXPECT_EQ(machine->set_incoming_run_state("nonsense").error().code, ErrorCode::stream_corrupt);
            ASSERT_TRUE(machine->set_incoming_run_state(sent));
            ASSERT_TRUE(machine->start_after_load());
        }
        EXPECT_EQ(machine->run_state(), after);
        EXPECT_FALSE(machine->memory().blocks()[0].fresh);
        run_until([] { return true; });
        EXPECT_EQ(count(Kind::resume), after == RunState::running ? 1U : 0U);
    }
}

}  // namespace
}  // namespace godwit
