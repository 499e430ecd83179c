#include "machine/emulator_interrupts.h"

#include <gtest/gtest.h>

#include "machine/emulator_test_machine.h"

namespace godwit {

namespace {

class EmulatorInterrupts : public ::testing::Test {
protected:
    testing::EmulatorTestMachine machine;
};

/// A local APIC that is on, with everything masked.
ApicState quiet_apic() {
    ApicState apic;
    apic.spurious_vector = 0x1ff;
    apic.local_vectors.fill(1U << 16);
    return apic;
}

TEST_F(EmulatorInterrupts, Interrupts_that_could_come_are_refused_also_while_the_cpu_does_not_accept_them) {
    struct {
        const char* what;
        void (*change)(ApicState&);
    } const cases[] = {
        {"entry 0 of the local vector table", [](ApicState& apic) { apic.local_vectors[0] = 0x2'0030; }},
        {"entry 3 of the local vector table", [](ApicState& apic) { apic.local_vectors[3] = 0x31; }},
        {"one is pending", [](ApicState& apic) { apic.requested[2] = 1; }},
        {"one is being served", [](ApicState& apic) { apic.in_service[2] = 1; }},
    };
    for (const std::uint64_t flags : {0x2U, 0x202U}) {
        machine.boot({0xf4});
        VcpuState state = machine.state();
        state.cpu.rflags = flags;
        ASSERT_TRUE(machine.vcpu().load(state));
        EXPECT_TRUE(machine.vcpu().load_apic(quiet_apic()));
        for (const auto& refused : cases) {
            ApicState apic = quiet_apic();
            refused.change(apic);
            const Status loaded = machine.vcpu().load_apic(apic);
            ASSERT_FALSE(loaded) << refused.what;
            EXPECT_EQ(loaded.error().code, ErrorCode::device_state);
            EXPECT_NE(loaded.error().message.find(refused.what), std::string::npos) << loaded.error().message;
        }
        IoapicState ioapic;
        ioapic.redirections.fill(1U << 16);
        EXPECT_TRUE(machine.machine().load_ioapic(ioapic));
        ioapic.redirections[12] = 0x40;
        EXPECT_EQ(machine.machine().load_ioapic(ioapic).error().code, ErrorCode::device_state);
    }
}

TEST_F(EmulatorInterrupts, What_power_on_and_firmware_leave_in_the_local_apic_is_accepted) {
    machine.boot({0xf4});
    // Off, with LINT0 open, as KVM has it after power-on.
    ApicState apic;
    apic.local_vectors.fill(1U << 16);
    apic.local_vectors[3] = 0x700;
    EXPECT_TRUE(machine.vcpu().load_apic(apic));
    // On, with LINT0 for an 8259, and LINT1 for NMIs.
    apic = quiet_apic();
    apic.local_vectors[3] = 0x8700;
    apic.local_vectors[4] = 0x8400;
    EXPECT_TRUE(machine.vcpu().load_apic(apic));
}

}  // namespace

}  // namespace godwit
