#include "machine/vcpu_state.h"

#include <gtest/gtest.h>

#include "machine/cpu_flags.h"
#include "machine/kvm_test_guests.h"
#include "machine/kvm_test_machine.h"

namespace godwit {
namespace {

using namespace godwit::testing;

/// A state that differs from the one after a reset wherever a CPU of this host can differ.
VcpuState rich_state(KvmTestMachine& machine) {
    VcpuState state = save_state(machine);
    CpuState& cpu = state.cpu;
    for (std::size_t n = 0; n < cpu.regs.size(); ++n) {
        cpu.regs[n] = 0x0123'4567'89ab'cd00 + n;
    }
    cpu.rflags = 0x246;
    cpu.fpu_control = 0x27f;
    cpu.fpu_status = 0x3800;
    cpu.fpu_tags = 0x81;
    cpu.fpu_instruction = 0x1234;
    cpu.fpu_registers[0] = {0x8000'0000'0000'0001, 0x3fff};
    cpu.fpu_registers[7] = {0xc000'0000'0000'0000, 0xbfff};
    cpu.xmm[0] = {1, 2};
    cpu.xmm[15] = {3, 4};
    cpu.mxcsr = 0x1fa1;
    cpu.xstate_bv = 3;
    cpu.segments[CpuState::fs] = {0x33, 0x7fff'0000'1234, 0xfffff, 0x00f300};
    cpu.segments[CpuState::gs] = {0, 0, 0, 0};
    cpu.ldt = {0, 0, 0, 0};
    cpu.gdt = {0, 0xffff'8000'0000'3000, 0x7f, 0};
    cpu.idt = {0, 0x4000, 0xfff, 0};
    cpu.cr2 = 0xdead'b000;
    cpu.cr4 = 0x620;
    cpu.dr = {0x1000, 0x2000, 0x3000, 0x4000, 0xffff'0ff0, 0x400, 0xffff'0ff0, 0x400};
    cpu.sysenter_cs = 0x10;
    cpu.sysenter_esp = 0x7000;
    cpu.sysenter_eip = 0x8000;
    cpu.star = 0x0023'0010'0000'0000;
    cpu.lstar = 0xffff'8000'0010'0000;
    cpu.cstar = 0xffff'8000'0020'0000;
    cpu.fmask = 0x4'7700;
    cpu.kernel_gs_base = 0xffff'8880'0000'0000;
    cpu.pat = 0x0007'0105'0007'0106;
    cpu.mtrr_fixed.fill(0x0606'0606'0606'0606);
    cpu.mtrr_default_type = 0xc06;
    cpu.mtrr_variable[0] = {0xc000'0000, 0xff'c000'0800};
    cpu.mce_banks[0] = 0;
    cpu.interrupt_injected = 0x51;
    cpu.nmi_pending = 1;
    cpu.hflags |= hflag_interrupt_shadow;
    cpu.hflags2 |= hflag2_nmi_masked;
    cpu.mp_state = KVM_MP_STATE_HALTED;
    return state;
}

/// What has a value of its own at each moment.
void forget_time(CpuState& state) {
    state.tsc = 0;
}

void expect_same(const CpuState& expected, const CpuState& got) {
    EXPECT_EQ(got.regs, expected.regs);
    EXPECT_EQ(got.rip, expected.rip);
    EXPECT_EQ(got.rflags, expected.rflags);
    EXPECT_EQ(got.fpu_status, expected.fpu_status);
    EXPECT_EQ(got.fpu_registers[7].mantissa, expected.fpu_registers[7].mantissa);
    EXPECT_EQ(got.xmm[15].high, expected.xmm[15].high);
    EXPECT_EQ(got.mxcsr, expected.mxcsr);
    EXPECT_EQ(got.segments[CpuState::fs].base, expected.segments[CpuState::fs].base);
    EXPECT_EQ(got.segments[CpuState::fs].flags, expected.segments[CpuState::fs].flags);
    EXPECT_EQ(got.segments[CpuState::gs].flags, 0U);
    EXPECT_EQ(got.gdt.base, expected.gdt.base);
    EXPECT_EQ(got.cr2, expected.cr2);
    EXPECT_EQ(got.cr4, expected.cr4);
    EXPECT_EQ(got.dr, expected.dr);
    EXPECT_EQ(got.sysenter_eip, expected.sysenter_eip);
    EXPECT_EQ(got.star, expected.star);
    EXPECT_EQ(got.lstar, expected.lstar);
    EXPECT_EQ(got.fmask, expected.fmask);
    EXPECT_EQ(got.kernel_gs_base, expected.kernel_gs_base);
    EXPECT_EQ(got.pat, expected.pat);
    EXPECT_EQ(got.mtrr_fixed, expected.mtrr_fixed);
    EXPECT_EQ(got.mtrr_default_type, expected.mtrr_default_type);
    EXPECT_EQ(got.mtrr_variable[0].mask, expected.mtrr_variable[0].mask);
    EXPECT_EQ(got.interrupt_injected, expected.interrupt_injected);
    EXPECT_EQ(got.nmi_pending, expected.nmi_pending);
    EXPECT_EQ(got.hflags2, expected.hflags2);
    EXPECT_EQ(got.mp_state, expected.mp_state);
    EXPECT_NE(got.hflags & hflag_interrupt_shadow, 0U);
}

class VcpuStateTest : public testing::KvmTest {};

TEST_F(VcpuStateTest, EveryRegisterComesBack) {
    KvmTestMachine source;
    source.boot(checksum_guest);
    const VcpuState given = rich_state(source);
    const Status loaded = load_vcpu(source.vm().vcpu(0), given);
    ASSERT_TRUE(loaded) << loaded.error().text();
    VcpuState first = save_state(source);
    expect_same(given.cpu, first.cpu);

    KvmTestMachine destination;
    move_machine(source, destination);
    VcpuState second = save_state(destination);
    forget_time(first.cpu);
    forget_time(second.cpu);
    EXPECT_EQ(state_bytes(cpu_state_layout(), &first.cpu), state_bytes(cpu_state_layout(), &second.cpu))
        << "some register differs after the move";
    expect_same(first.cpu, second.cpu);
}

TEST_F(VcpuStateTest, WhatKvmRefusesIsNamed) {
    KvmTestMachine machine;
    machine.boot(checksum_guest);
    struct Case {
        const char* group;
        void (*spoil)(CpuState&);
    };
    const Case cases[] = {
        {"segment and control registers", [](CpuState& s) { s.cr4 |= std::uint64_t{1} << 63; }},
        {"SMEP", [](CpuState& s) { s.cr4 |= std::uint64_t{1} << 20; }},
        {"AVX", [](CpuState& s) { s.xcr0 = 7; }},
        {"x87, SSE and AVX state",
         [](CpuState& s) {
             s.mxcsr = 0xffff'ffff;
             s.xstate_bv = 3;
         }},
        {"MTRR_DEF_TYPE", [](CpuState& s) { s.mtrr_default_type = ~std::uint64_t{0}; }},
        {"debug registers", [](CpuState& s) { s.dr[7] = ~std::uint64_t{0}; }},
        {"XCR0", [](CpuState& s) { s.xcr0 = 0; }},
        {"only x87, SSE and AVX", [](CpuState& s) { s.xstate_bv = 0xe7; }},
        {"SS has the impossible limit", [](CpuState& s) { s.segments[CpuState::ss].limit = 5; }},
        {"impossible rate", [](CpuState& s) { s.tsc_khz = -1; }},
    };
    for (const Case& bad : cases) {
        const VcpuState good = save_state(machine);
        DeviceState& cpu = device(machine, "cpu");
        auto& state = *static_cast<CpuState*>(cpu.data());
        state = good.cpu;
        bad.spoil(state);
        const Status loaded = cpu.after_load(12);
        ASSERT_FALSE(loaded) << bad.group;
        EXPECT_EQ(loaded.error().code, ErrorCode::device_state);
        EXPECT_NE(loaded.error().message.find(bad.group), std::string::npos) << loaded.error().message;
        EXPECT_TRUE(loaded.error().message.starts_with("virtual CPU 0: ")) << loaded.error().message;
        ASSERT_TRUE(load_vcpu(machine.vm().vcpu(0), good)) << "the machine is not spoilt";
    }
}

TEST_F(VcpuStateTest, AModeThatKvmDropsIsRefused) {
    KvmTestMachine machine;
    machine.boot(checksum_guest);
    VcpuState state = save_state(machine);
    state.cpu.cr0 |= 0x8000'0000;
    state.cpu.cr3 = 0x80000;
    const Status loaded = load_vcpu(machine.vm().vcpu(0), state);
    // 32-bit paging, which not every KVM can run.
    const bool kept = (save_state(machine).cpu.cr0 & 0x8000'0000) != 0;
    EXPECT_EQ(loaded.has_value(), kept);
    if (!loaded) {
        EXPECT_EQ(loaded.error().code, ErrorCode::device_state);
        EXPECT_NE(loaded.error().message.find("CR0"), std::string::npos) << loaded.error().message;
    }
}

TEST_F(VcpuStateTest, RegistersThatAreMissingHereAreNamedInTheLog) {
    KvmTestMachine machine;
    machine.boot(checksum_guest);
    VcpuState state = save_state(machine);
    state.cpu.vm_hsave = 0x1000;
    const auto& msrs = machine.vm().features().msrs;
    const bool exists = std::find(msrs.begin(), msrs.end(), 0xc0010117) != msrs.end();
    ASSERT_TRUE(load_vcpu(machine.vm().vcpu(0), state));
    EXPECT_EQ(machine.log().count("VM_HSAVE_PA) does not exist here"), exists ? 0U : 1U);
}

TEST_F(VcpuStateTest, ATimeStampCounterThatCannotBeSetIsSaidOnce) {
    KvmTestMachine source(2);
    source.boot(checksum_guest);
    KvmTestMachine destination(2);
    move_machine(source, destination);
    VcpuState state = save_state(destination);
    for (int n = 0; n < 3; ++n) {
        auto& cpu = *static_cast<CpuState*>(device(destination, "cpu").data());
        cpu = state.cpu;
        cpu.tsc = std::uint64_t{1} << 60;
        ASSERT_TRUE(device(destination, "cpu").after_load(12));
    }
    const std::uint64_t counter = save_state(destination).cpu.tsc;
    const bool followed = counter >= std::uint64_t{1} << 60;
    EXPECT_EQ(destination.log().count("time stamp counter"), followed ? 0U : 1U);
}

}  // namespace
}  // namespace godwit
