// Guests that really run under KVM.

#include "machine/firmware.h"
#include "machine/test_machine.h"

namespace godwit {
namespace {

constexpr std::uint32_t marker = 0x30'0000;
constexpr std::uint32_t counter = 0x30'1000;

using Kind = MachineEvent::Kind;

TEST_F(GuestTest, PrintsAndPowersOff) {
    const auto machine = boot(TestCode().print("hello\n").power_off());
    ASSERT_TRUE(run_until([&] { return count(Kind::stop) == 1; }));
    EXPECT_EQ(serial(), "hello\n");
    EXPECT_EQ(machine->run_state(), RunState::shutdown);
    EXPECT_EQ(machine->exit_status(), std::optional<int>(0));
    ASSERT_EQ(events.size(), 3U);
    EXPECT_EQ(events[0].kind, Kind::resume);
    EXPECT_EQ(events[1].kind, Kind::shutdown);
    EXPECT_EQ(events[1].reason, MachineEventReason::guest_shutdown);
    EXPECT_EQ(events[1].exit_status, 0);
    EXPECT_EQ(machine->cont(true).error().code, ErrorCode::wrong_state);
    machine->lock();
    EXPECT_EQ(machine->stop_for_switchover().error().code, ErrorCode::guest_gone);
    machine->unlock();
}

TEST_F(GuestTest, DebugExitGivesTheExitStatus) {
    const auto machine = boot(TestCode().out8(0x501, 3).halt());
    ASSERT_TRUE(run_until([&] { return find(Kind::shutdown) != nullptr; }));
    EXPECT_EQ(find(Kind::shutdown)->exit_status, 7);
    EXPECT_EQ(machine->exit_status(), std::optional<int>(7));
}

TEST_F(GuestTest, CommandLineReachesTheGuest) {
    // ebx points to the start information; offset 24 holds the command line's address.
    MachineOptions what = options(TestCode()
                                      .raw({0x8b, 0x43, 24, 0x8a, 0x00})  // mov eax, [ebx+24]; mov al, [eax]
                                      .raw({0xba})
                                      .word(0x3f8)
                                      .raw({0xee})
                                      .power_off());
    what.append = "Q and more";
    const auto machine = make(what);
    ASSERT_TRUE(machine->power_on());
    ASSERT_TRUE(run_until([&] { return find(Kind::shutdown) != nullptr; }));
    EXPECT_EQ(serial(), "Q");
}

TEST_F(GuestTest, StopHoldsTheGuestAndContLetsItGoOn) {
    TestCode code;
    const auto machine = boot(code.increment(counter).jump(TestCode::start));
    ASSERT_TRUE(wait_until([&] { return word(*machine, counter) > 1000; }));
    for (int round = 0; round < 50; ++round) {
        ASSERT_TRUE(machine->stop());
        EXPECT_EQ(machine->run_state(), RunState::paused);
        const std::uint32_t held = word(*machine, counter);
        ::usleep(200);
        EXPECT_EQ(word(*machine, counter), held);
        ASSERT_TRUE(machine->stop()) << "stopping twice is fine";
        ASSERT_TRUE(machine->cont(false));
        ASSERT_TRUE(wait_until([&] { return word(*machine, counter) > held; }));
    }
    ASSERT_TRUE(run_until([&] { return count(Kind::stop) == 50 && count(Kind::resume) == 51; }));
}

TEST_F(GuestTest, APortAccessUnderWayIsCompletedBeforeTheGuestStops) {
    // in al, dx counts as done exactly once however often the guest is stopped in the middle of it.
    TestCode code;
    const auto machine = boot(code.raw({0xba}).word(0x3fd).raw({0xec}).increment(counter).jump(TestCode::start + 5));
    for (int round = 0; round < 200; ++round) {
        ASSERT_TRUE(machine->stop());
        const std::uint32_t held = word(*machine, counter);
        ASSERT_TRUE(machine->cont(false));
        ASSERT_TRUE(wait_until([&] { return word(*machine, counter) > held; }));
    }
}

TEST_F(GuestTest, WritesToTheFirmwareReachItAndAreTracked) {
    constexpr std::uint32_t offset = 0x100;
    TestCode code;
    const auto address = static_cast<std::uint32_t>(low_firmware_start.value() + offset);
    const auto machine = boot(code.increment(address).increment(counter).jump(TestCode::start));
    ASSERT_TRUE(wait_until([&] { return word(*machine, counter) > 100; }));
    ASSERT_TRUE(machine->dirty_source()->start());
    const std::uint32_t begin = word(*machine, counter);
    ASSERT_TRUE(wait_until([&] { return word(*machine, counter) > begin + 100; }));
    ASSERT_TRUE(machine->stop());
    std::uint64_t dirty = 0;
    ASSERT_TRUE(machine->dirty_source()->collect(firmware_block, std::span(&dirty, 1)));
    EXPECT_EQ(dirty, 1U);
    machine->dirty_source()->stop();
    std::uint32_t written = 0;
    std::memcpy(&written, machine->memory().blocks()[firmware_block].host + offset, sizeof written);
    EXPECT_GE(written, word(*machine, counter));
    EXPECT_EQ(word(*machine, address), 0U) << "the RAM below it";
}

TEST_F(GuestTest, PausedMachinesWaitInPrelaunch) {
    MachineOptions what = options(TestCode().print("x").power_off());
    what.paused = true;
    const auto machine = make(what);
    ASSERT_TRUE(machine->power_on());
    EXPECT_EQ(machine->run_state(), RunState::prelaunch);
    EXPECT_EQ(serial(), "");
    ASSERT_TRUE(machine->cont(false));
    ASSERT_TRUE(run_until([&] { return find(Kind::shutdown) != nullptr; }));
    EXPECT_EQ(serial(), "x");
}

/// Boots, prints, changes its own image, and resets by `how`; the second time it powers off.
TestCode resetting_guest(const TestCode& how) {
    TestCode first_time;
    first_time.store(marker, 1);
    for (const std::byte byte : how.bytes()) {
        first_time.raw({std::to_integer<int>(byte)});
    }
    TestCode code;
    code.jump(TestCode::start + 9).word('1');  // the word at start + 5 belongs to the image
    code.print_at(TestCode::start + 5).increment(TestCode::start + 5).skip_if_set(marker, first_time).power_off();
    return code;
}

class ResetTest : public GuestTest {
protected:
    void expect_reset(const TestCode& how) {
        const auto machine = boot(resetting_guest(how));
        ASSERT_TRUE(run_until([&] { return find(Kind::shutdown) != nullptr; })) << serial() << log.text();
        EXPECT_EQ(serial(), "11") << "the image was not loaded anew";
        ASSERT_EQ(count(Kind::reset), 1U);
        EXPECT_EQ(find(Kind::reset)->reason, MachineEventReason::guest_reset);
        EXPECT_EQ(find(Kind::shutdown)->reason, MachineEventReason::guest_shutdown);
    }
};

TEST_F(ResetTest, ByTheKeyboardController) {
    expect_reset(TestCode().out8(0x64, 0xfe).halt());
}
TEST_F(ResetTest, ByTheChipset) {
    expect_reset(TestCode().out8(0xcf9, 0x06).halt());
}
TEST_F(ResetTest, ByATripleFault) {
    // lidt of an empty table, then an undefined instruction
    expect_reset(
        TestCode().store(0x40'0000, 0).store(0x40'0004, 0).raw({0x0f, 0x01, 0x1d}).word(0x40'0000).raw({0x0f, 0x0b}));
}

TEST_F(ResetTest, InterruptLinesAreMaskedAgain) {
    constexpr std::uint32_t ioapic = 0xfec0'0000;
    constexpr std::uint32_t entry_of_line_4 = 0x18;
    constexpr std::uint32_t found = 0x30'2000;
    TestCode first_time;  // unmasks the line, then resets
    first_time.store(marker, 1).store(ioapic, entry_of_line_4).store(ioapic + 0x10, 0x31).out8(0x64, 0xfe).halt();
    TestCode code;
    code.skip_if_set(marker, first_time);
    // mov eax, [ioapic + 0x10]; mov [found], eax
    code.store(ioapic, entry_of_line_4).raw({0xa1}).word(ioapic + 0x10).raw({0xa3}).word(found).power_off();
    const auto machine = boot(code);
    ASSERT_TRUE(run_until([&] { return find(Kind::shutdown) != nullptr; }));
    EXPECT_EQ(word(*machine, found), 0x1'0000U);
}

TEST_F(GuestTest, AnUnusableInstructionStopsTheMachineWithAMessage) {
    TestCode code;
    const auto machine = boot(code.jump(0xd000'0000));  // no memory there
    ASSERT_TRUE(run_until([&] { return find(Kind::shutdown) != nullptr; }));
    EXPECT_EQ(machine->run_state(), RunState::internal_error);
    EXPECT_EQ(find(Kind::shutdown)->reason, MachineEventReason::vcpu_error);
    EXPECT_EQ(find(Kind::shutdown)->exit_status, 1);
    const std::string& message = find(Kind::shutdown)->message;
    EXPECT_NE(message.find("suberror"), std::string::npos) << message;
    EXPECT_NE(message.find("RIP 0xd0000000"), std::string::npos) << message;
    machine->lock();
    EXPECT_EQ(machine->stop_for_switchover().error().code, ErrorCode::vcpu);
    machine->unlock();
}

TEST_F(GuestTest, UnassignedMemoryReadsAsAllOnes) {
    TestCode code;  // mov eax, [0xd0000000]; mov [counter], eax; mov [0xd0000000], eax
    code.raw({0xa1}).word(0xd000'0000).raw({0xa3}).word(counter).raw({0xa3}).word(0xd000'0000).power_off();
    const auto machine = boot(code);
    ASSERT_TRUE(run_until([&] { return find(Kind::shutdown) != nullptr; }));
    EXPECT_EQ(word(*machine, counter), 0xffff'ffffU);
}

TEST_F(GuestTest, ASecondCpuIsStartedByTheFirst) {
    constexpr std::uint32_t apic = 0xfee0'0000;
    TestCode code;
    // Real-mode code at 0x8000: prints 'P', sets the word at 0x9000, halts.
    // b0 50 | ba f8 03 | ee | c6 06 00 90 01 | f4 | eb fd
    code.store(0x8000, 0xf8ba'50b0).store(0x8004, 0x06c6'ee03).store(0x8008, 0xf401'9000).store(0x800c, 0x0000'fdeb);
    code.store(0x9000, 0);
    code.store(apic + 0xf0, 0x1ff).store(apic + 0x300, 0xc'4500).store(apic + 0x300, 0xc'4608);
    code.wait_for(0x9000).print("B").power_off();
    MachineOptions what = options(code);
    what.cpus = 2;
    const auto machine = make(what);
    ASSERT_TRUE(machine->power_on());
    ASSERT_TRUE(run_until([&] { return find(Kind::shutdown) != nullptr; })) << log.text();
    EXPECT_EQ(serial(), "PB");
}

TEST_F(GuestTest, AWaitingCpuCanBeStoppedAndContinued) {
    TestCode code;
    MachineOptions what = options(code.increment(counter).jump(TestCode::start));
    what.cpus = 2;
    const auto machine = make(what);
    ASSERT_TRUE(machine->power_on());
    for (int round = 0; round < 20; ++round) {
        const std::uint32_t before = word(*machine, counter);
        ASSERT_TRUE(wait_until([&] { return word(*machine, counter) > before; }));
        ASSERT_TRUE(machine->stop());
        ASSERT_TRUE(machine->cont(false));
    }
}

TEST_F(GuestTest, AHaltedGuestCanBeStoppedAndShutDown) {
    const auto machine = boot(TestCode().print("h").halt());
    ASSERT_TRUE(wait_until([&] { return serial() == "h"; }));
    ASSERT_TRUE(machine->stop());
    ASSERT_TRUE(machine->cont(false));
    machine->request_shutdown(MachineEventReason::host_signal);
    EXPECT_EQ(machine->run_state(), RunState::running) << "only the loop carries it out";
    ASSERT_TRUE(run_until([&] { return find(Kind::shutdown) != nullptr; }));
    EXPECT_EQ(find(Kind::shutdown)->reason, MachineEventReason::host_signal);
    EXPECT_EQ(machine->run_state(), RunState::shutdown);
    EXPECT_EQ(machine->exit_status(), std::nullopt);
}

TEST_F(GuestTest, AMachineCanBeDestroyedWhileItsGuestRuns) {
    TestCode code;
    auto machine = boot(code.increment(counter).jump(TestCode::start));
    ASSERT_TRUE(wait_until([&] { return word(*machine, counter) > 0; }));
    machine->request_shutdown(MachineEventReason::host_quit);
    machine.reset();
    run_until([] { return true; });
    EXPECT_TRUE(events.empty()) << "what was posted by a machine that is gone does nothing";
}

}  // namespace
}  // namespace godwit
