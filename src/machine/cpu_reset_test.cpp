#include "machine/cpu_reset.h"

#include <gtest/gtest.h>

#include "machine/apic_state.h"
#include "machine/kvm_test_guests.h"
#include "machine/kvm_test_machine.h"
#include "machine/vcpu_state.h"

namespace godwit {
namespace {

using testing::KvmTestMachine;

VcpuState saved(KvmVcpu& vcpu) {
    VcpuState state;
    const Status status = save_vcpu(vcpu, state);
    EXPECT_TRUE(status) << status.error().text();
    return state;
}

class CpuResetTest : public testing::KvmTest {};

TEST_F(CpuResetTest, GivesThePowerOnState) {
    KvmTestMachine machine(2);
    for (std::uint32_t index = 0; index < 2; ++index) {
        const Status reset = reset_vcpu(machine.vm().vcpu(index));
        ASSERT_TRUE(reset) << reset.error().text();
        const CpuState state = saved(machine.vm().vcpu(index)).cpu;
        EXPECT_EQ(state.rip, 0xfff0U);
        EXPECT_EQ(state.rflags, 2U);
        EXPECT_EQ(state.cr0, 0x6000'0010U);
        EXPECT_EQ(state.segments[CpuState::cs].base, 0xffff'0000U);
        EXPECT_EQ(state.segments[CpuState::cs].selector, 0xf000U);
        EXPECT_EQ(state.hflags, 0x40U);
        EXPECT_EQ(state.dr[7], 0x400U);
        EXPECT_EQ(state.fpu_control, 0x37f);
        EXPECT_EQ(state.mxcsr, 0x1f80U);
        EXPECT_EQ(state.pat, 0x0007'0406'0007'0406U);
        EXPECT_EQ(state.exception_nr, -1);
        EXPECT_EQ(state.regs[CpuState::rdx], 0x60fb1U);
        EXPECT_EQ(state.mp_state, index == 0 ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED);
        ApicState apic;
        ASSERT_TRUE(save_apic(machine.vm().vcpu(index), apic));
        EXPECT_EQ(apic.id, index);
        EXPECT_EQ(apic.base, index == 0 ? 0xfee0'0900U : 0xfee0'0800U);
        EXPECT_EQ(apic.local_vectors[3], 0x1'0000U);
    }
}

TEST_F(CpuResetTest, PvhEntryIsFlatProtectedMode) {
    KvmTestMachine machine;
    ASSERT_TRUE(reset_vcpu(machine.vm().vcpu(0)));
    ASSERT_TRUE(set_pvh_entry(machine.vm().vcpu(0), GuestAddress(0x10'0000), GuestAddress(0x6000)));
    const CpuState state = saved(machine.vm().vcpu(0)).cpu;
    EXPECT_EQ(state.rip, 0x10'0000U);
    EXPECT_EQ(state.regs[CpuState::rbx], 0x6000U);
    EXPECT_EQ(state.rflags, 2U);
    EXPECT_EQ(state.cr0 & 0x8000'0001, 1U);
    EXPECT_EQ(state.cr4, 0U);
    EXPECT_EQ(state.hflags, 0xb0U);
    for (const SegmentState& segment : state.segments) {
        EXPECT_EQ(segment.base, 0U);
        EXPECT_EQ(segment.limit, 0xffff'ffffU);
    }
    EXPECT_EQ(state.tr.limit, 0x67U);
}

TEST_F(CpuResetTest, RefusesAnEntryAbove4GiB) {
    KvmTestMachine machine;
    const Status entry = set_pvh_entry(machine.vm().vcpu(0), GuestAddress(std::uint64_t{1} << 32), GuestAddress(0));
    ASSERT_FALSE(entry);
    EXPECT_EQ(entry.error().code, ErrorCode::invalid_argument);
}

TEST_F(CpuResetTest, AResetGuestRunsAsTheFirstTime) {
    KvmTestMachine machine;
    machine.boot(testing::checksum_guest);
    const std::uint32_t first = machine.run_to_out();
    const std::uint32_t second = machine.run_to_out();
    EXPECT_NE(first, second);
    std::memset(machine.memory().host(), 0, machine.memory().bytes());
    machine.boot(testing::checksum_guest);
    EXPECT_EQ(machine.run_to_out(), first);
    EXPECT_EQ(machine.run_to_out(), second);
}

}  // namespace
}  // namespace godwit
