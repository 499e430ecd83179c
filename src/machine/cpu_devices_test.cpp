#include "machine/cpu_devices.h"

#include <gtest/gtest.h>

#include "machine/apic_state.h"
#include "machine/kvm_test_guests.h"
#include "machine/kvm_test_machine.h"
#include "machine/kvmclock_state.h"
#include "machine/vcpu_state.h"

namespace godwit {
namespace {

using namespace godwit::testing;

class CpuDevicesTest : public testing::KvmTest {};

TEST_F(CpuDevicesTest, ComeInQemusOrder) {
    KvmTestMachine machine(2);
    std::vector<std::string> names;
    for (const auto& entry : machine.devices()) {
        names.push_back(std::string(entry->section_name()) + " " + std::to_string(entry->instance_id()));
    }
    EXPECT_EQ(names, (std::vector<std::string>{"cpu_common 0", "cpu 0", "apic 0", "cpu_common 1", "cpu 1", "apic 1",
                                               "ioapic 0", "kvmclock 0"}));
}

TEST_F(CpuDevicesTest, AGuestGoesOnAsIfNothingHadHappened) {
    for (const CpuModel model : {CpuModel::qemu64, CpuModel::host}) {
        KvmTestMachine undisturbed(1, model);
        undisturbed.boot(checksum_guest);
        std::vector<std::uint32_t> expected;
        for (int n = 0; n < 12; ++n) {
            expected.push_back(undisturbed.run_to_out());
        }
        auto machine = std::make_unique<KvmTestMachine>(1, model);
        machine->boot(checksum_guest);
        std::vector<std::uint32_t> told;
        while (told.size() < expected.size()) {
            told.push_back(machine->run_to_out());
            if (told.size() % 3 == 0) {
                auto next = std::make_unique<KvmTestMachine>(1, model);
                move_machine(*machine, *next);
                machine = std::move(next);
            }
        }
        EXPECT_EQ(told, expected);
        EXPECT_EQ(std::memcmp(undisturbed.memory().host(), machine->memory().host(), machine->memory().bytes()), 0);
    }
}

/// Paging as in 64-bit mode, with the first GiB mapped to itself; the code segment stays one of 32 bits.
void switch_to_long_mode(KvmTestMachine& machine) {
    machine.memory().put<std::uint64_t>(0x84000, 0x85003);
    machine.memory().put<std::uint64_t>(0x85000, 0x86003);
    for (std::uint64_t entry = 0; entry < 512; ++entry) {
        machine.memory().put<std::uint64_t>(0x86000 + entry * 8, (entry << 21) | 0x83);
    }
    VcpuState state = save_state(machine);
    state.cpu.cr0 = 0x8000'0011;
    state.cpu.cr3 = 0x84000;
    state.cpu.cr4 = 0x20;
    state.cpu.efer = 0x500;
    const Status loaded = load_vcpu(machine.vm().vcpu(0), state);
    ASSERT_TRUE(loaded) << loaded.error().text();
}

TEST_F(CpuDevicesTest, AGuestWithPagingGoesOn) {
    KvmTestMachine undisturbed;
    undisturbed.boot(checksum_guest);
    switch_to_long_mode(undisturbed);
    std::vector<std::uint32_t> expected;
    for (int n = 0; n < 4; ++n) {
        expected.push_back(undisturbed.run_to_out());
    }
    KvmTestMachine source;
    source.boot(checksum_guest);
    switch_to_long_mode(source);
    std::vector<std::uint32_t> told{source.run_to_out(), source.run_to_out()};
    KvmTestMachine destination;
    move_machine(source, destination);
    told.push_back(destination.run_to_out());
    told.push_back(destination.run_to_out());
    EXPECT_EQ(told, expected);
}

TEST_F(CpuDevicesTest, SavedTwiceIsTheSameBytes) {
    KvmTestMachine source(2);
    source.boot(starter_guest);
    source.memory().put_code(0x8000, counter_guest);
    for (int n = 0; n < 3; ++n) {
        source.run_to_out();
    }
    source.run_to_out(1);
    KvmTestMachine destination(2);
    move_machine(source, destination);
    for (std::size_t n = 0; n < source.devices().size(); ++n) {
        const std::string_view name = source.devices()[n]->section_name();
        if (name == "apic" || name == "ioapic" || name == "cpu_common") {
            EXPECT_EQ(save_device(*source.devices()[n]), save_device(*destination.devices()[n])) << name;
        }
    }
}

TEST_F(CpuDevicesTest, SegmentsAndModelSpecificRegistersWork) {
    KvmTestMachine source;
    source.memory().put<std::uint16_t>(0x3010, 0x1f);
    source.memory().put<std::uint32_t>(0x3012, 0x3020);
    source.memory().put<std::uint64_t>(0x3020 + 0x18, 0x00cf'9302'4000'ffff);
    source.memory().put<std::uint32_t>(0x2'4000, 0x600d'f00d);
    source.boot(register_guest);
    EXPECT_EQ(source.run_to_out(), 0x600d'f00dU);
    KvmTestMachine destination;
    move_machine(source, destination);
    EXPECT_EQ(destination.run_to_out(), 0x600d'f00dU);
    const CpuState state = save_state(destination).cpu;
    EXPECT_EQ(state.segments[CpuState::fs].base, 0x2'4000U);
    EXPECT_EQ(state.sysenter_cs, 0x10U);
    EXPECT_EQ(state.dr[0], 0xabcdU);
}

TEST_F(CpuDevicesTest, TwoCpusMoveWhileBothRun) {
    auto machine = std::make_unique<KvmTestMachine>(2);
    machine->boot(starter_guest);
    machine->memory().put_code(0x8000, counter_guest);
    for (std::uint32_t expected = 1; expected <= 3; ++expected) {
        EXPECT_EQ(machine->run_to_out(), expected);
    }
    std::uint32_t counted = 0;
    for (int move = 0; move < 4; ++move) {
        for (int n = 0; n < 5; ++n) {
            EXPECT_EQ(machine->run_to_out(1), ++counted);
        }
        EXPECT_EQ(machine->run_to_out(0), counted);
        auto next = std::make_unique<KvmTestMachine>(2);
        move_machine(*machine, *next);
        machine = std::move(next);
    }
}

/// A CPU that is moved between its INIT and its start message, or with the start message on its way, starts all the
/// same.
TEST_F(CpuDevicesTest, ACpuThatIsBeingStartedStartsAfterTheMove) {
    for (const std::uint32_t told_before : {1U, 2U, 3U}) {
        KvmTestMachine source(2);
        source.boot(starter_guest);
        source.memory().put_code(0x8000, counter_guest);
        for (std::uint32_t n = 1; n <= told_before; ++n) {
            ASSERT_EQ(source.run_to_out(), n);
        }
        KvmTestMachine destination(2);
        move_machine(source, destination);
        for (std::uint32_t n = told_before + 1; n <= 3; ++n) {
            ASSERT_EQ(destination.run_to_out(), n);
        }
        EXPECT_EQ(destination.run_to_out(1), 1U);
        EXPECT_EQ(destination.run_to_out(1), 2U);
        EXPECT_EQ(destination.run_to_out(0), 2U);
    }
}

void put_interrupt_table(KvmTestMachine& machine) {
    constexpr std::uint64_t handler = 0x2000;
    machine.memory().put_code(handler, interrupt_handler);
    machine.memory().put<std::uint16_t>(0x3000, 0x7ff);
    machine.memory().put<std::uint32_t>(0x3002, 0x4000);
    // A 32-bit interrupt gate with the code segment of the PVH entry, which needs a descriptor of its own: the
    // processor loads it anew.
    machine.memory().put<std::uint64_t>(0x4000 + 0x41 * 8, 0x0000'8e00'0008'0000 | handler);
}

TEST_F(CpuDevicesTest, APendingInterruptArrivesAfterTheMove) {
    KvmTestMachine source;
    put_interrupt_table(source);
    source.boot(interrupt_guest);
    // GDT at 0x3100: code at 0x8, data at 0x10.
    VcpuState state = save_state(source);
    source.memory().put<std::uint64_t>(0x3108, 0x00cf'9b00'0000'ffff);
    source.memory().put<std::uint64_t>(0x3110, 0x00cf'9300'0000'ffff);
    state.cpu.gdt = {0, 0x3100, 0x17, 0};
    ASSERT_TRUE(load_vcpu(source.vm().vcpu(0), state));
    ASSERT_EQ(source.run_to_out(), 1U);
    ASSERT_TRUE(source.vm().set_irq(4, true));
    ASSERT_TRUE(source.vm().set_irq(4, false));
    ApicState apic;
    ASSERT_TRUE(save_apic(source.vm().vcpu(0), apic));
    ASSERT_EQ(apic.requested[2], 2U) << "vector 0x41 waits";

    KvmTestMachine destination;
    move_machine(source, destination);
    std::uint32_t told = destination.run_to_out();
    if (told == 2) {
        // A KVM that interprets instructions looks for interrupts only now and then.
        told = destination.run_to_out();
    }
    EXPECT_EQ(told, 0x41U);
    // The line still leads there.
    KvmTestMachine last;
    move_machine(destination, last);
    ASSERT_TRUE(last.vm().set_irq(4, true));
    ASSERT_TRUE(last.vm().set_irq(4, false));
    EXPECT_EQ(last.run_to_out(), 0x41U);
}

TEST_F(CpuDevicesTest, TheApicTimerGoesOnFromWhereItWas) {
    KvmTestMachine source;
    source.boot(timer_guest);
    const std::uint32_t before = source.run_to_out();
    ASSERT_GT(before, 0U);
    KvmTestMachine destination;
    ApicState saved;
    ASSERT_TRUE(save_apic(source.vm().vcpu(0), saved));
    move_machine(source, destination);
    ApicState loaded;
    ASSERT_TRUE(save_apic(destination.vm().vcpu(0), loaded));
    EXPECT_EQ(loaded.initial_count, 0x7fff'ffffU);
    EXPECT_LE(loaded.next_time, saved.next_time);
    EXPECT_GT(loaded.next_time, 0);
    EXPECT_LT(destination.run_to_out(), before);
}

TEST_F(CpuDevicesTest, TheGuestsClockNeverGoesBack) {
    KvmTestMachine source;
    source.boot(checksum_guest);
    source.run_to_out();
    KvmClockState before;
    ASSERT_TRUE(save_kvmclock(source.vm(), before));
    KvmTestMachine destination;
    move_machine(source, destination);
    KvmClockState after;
    ASSERT_TRUE(save_kvmclock(destination.vm(), after));
    EXPECT_GE(after.clock_ns, before.clock_ns);
    EXPECT_LT(after.clock_ns, before.clock_ns + 60'000'000'000);
    const Status impossible = load_kvmclock(destination.vm(), {~std::uint64_t{0}, true});
    ASSERT_FALSE(impossible);
    EXPECT_EQ(impossible.error().code, ErrorCode::device_state);
}

TEST_F(CpuDevicesTest, AHaltedCpuIsHaltedInBothSections) {
    KvmTestMachine machine;
    machine.boot(checksum_guest);
    VcpuState state = save_state(machine);
    state.cpu.mp_state = KVM_MP_STATE_HALTED;
    ASSERT_TRUE(load_vcpu(machine.vm().vcpu(0), state));
    const std::vector<std::byte> bytes = save_device(device(machine, "cpu_common"));
    ASSERT_EQ(bytes.size(), 8U);
    EXPECT_EQ(bytes[3], std::byte{1});
}

TEST_F(CpuDevicesTest, AnApicOfAnotherCpuIsRefused) {
    KvmTestMachine machine(2);
    machine.boot(checksum_guest);
    const Status loaded = load_device(device(machine, "apic", 1), save_device(device(machine, "apic", 0)));
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, ErrorCode::device_state);
    EXPECT_NE(loaded.error().message.find("virtual CPU 1"), std::string::npos);
}

TEST(InertDevices, SectionsThatMeanNothingHereAreAccepted) {
    for (const auto& inert : make_inert_devices()) {
        std::vector<std::byte> bytes = save_device(*inert);
        std::fill_n(bytes.begin(), vmstate_wire_bytes(inert->layout()), std::byte{0x5a});
        EXPECT_TRUE(load_device(*inert, bytes)) << inert->section_name();
        EXPECT_TRUE(inert->is_optional()) << "godwit does not send them";
    }
    const auto devices = make_inert_devices();
    EXPECT_EQ(vmstate_wire_bytes(devices[0]->layout()), 6U);
    EXPECT_EQ(vmstate_wire_bytes(devices[1]->layout()), 144U);
}

}  // namespace
}  // namespace godwit
