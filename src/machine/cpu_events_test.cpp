#include "machine/cpu_events.h"

#include <gtest/gtest.h>

#include "machine/cpu_flags.h"

namespace godwit {
namespace {

TEST(CpuEvents, NothingPendingHasNoVectors) {
    CpuState state;
    from_kvm_events(kvm_vcpu_events{}, state);
    EXPECT_EQ(state.exception_nr, -1);
    EXPECT_EQ(state.interrupt_injected, -1);
    EXPECT_EQ(state.hflags2, hflag2_global_interrupts);
    const kvm_vcpu_events events = to_kvm_events(state, 0, false);
    EXPECT_EQ(events.exception.injected, 0);
    EXPECT_EQ(events.interrupt.injected, 0);
    EXPECT_EQ(events.flags, static_cast<std::uint32_t>(KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW));
}

TEST(CpuEvents, PendingEventsComeBack) {
    kvm_vcpu_events events{};
    events.exception.injected = 1;
    events.exception.nr = 8;
    events.exception.has_error_code = 1;
    events.interrupt.injected = 1;
    events.interrupt.nr = 0xf3;
    events.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
    events.nmi.injected = 1;
    events.nmi.pending = 1;
    events.nmi.masked = 1;
    events.smi.smm = 1;
    events.smi.smm_inside_nmi = 1;
    events.smi.pending = 1;
    events.flags = KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM;
    CpuState state;
    from_kvm_events(events, state);
    const kvm_vcpu_events back = to_kvm_events(state, interrupt_request_of(events), true);
    EXPECT_EQ(back.exception.injected, 1);
    EXPECT_EQ(back.exception.nr, 8);
    EXPECT_EQ(back.exception.has_error_code, 1);
    EXPECT_EQ(back.interrupt.injected, 1);
    EXPECT_EQ(back.interrupt.nr, 0xf3);
    EXPECT_NE(back.interrupt.shadow, 0);
    EXPECT_EQ(back.nmi.injected, 1);
    EXPECT_EQ(back.nmi.pending, 1);
    EXPECT_EQ(back.nmi.masked, 1);
    EXPECT_EQ(back.smi.smm, 1);
    EXPECT_EQ(back.smi.smm_inside_nmi, 1);
    EXPECT_EQ(back.smi.pending, 1);
}

TEST(CpuEvents, FaultsWithAnErrorCodeAreRepeatedByTheCpu) {
    kvm_vcpu_events events{};
    events.exception.injected = 1;
    events.exception.nr = 14;
    events.exception.has_error_code = 1;
    events.exception.error_code = 2;
    CpuState state;
    from_kvm_events(events, state);
    EXPECT_EQ(state.exception_nr, -1);
    EXPECT_EQ(state.has_error_code, 0);
}

TEST(CpuEvents, DebugRegistersComeBack) {
    kvm_debugregs registers{};
    for (std::uint64_t n = 0; n < 4; ++n) {
        registers.db[n] = 0x100 + n;
    }
    registers.dr6 = 0xffff'0ff1;
    registers.dr7 = 0x401;
    CpuState state;
    from_kvm_debug_registers(registers, state);
    EXPECT_EQ(state.dr[4], state.dr[6]);
    EXPECT_EQ(state.dr[5], state.dr[7]);
    const kvm_debugregs back = to_kvm_debug_registers(state);
    EXPECT_EQ(back.db[3], 0x103U);
    EXPECT_EQ(back.dr6, registers.dr6);
    EXPECT_EQ(back.dr7, registers.dr7);
}

TEST(CpuEvents, RefusesImpossibleOnes) {
    EXPECT_TRUE(check_events(CpuState(), false));
    void (*const cases[])(CpuState&) = {
        [](CpuState& s) { s.exception_nr = 32; },
        [](CpuState& s) { s.exception_nr = -2; },
        [](CpuState& s) { s.interrupt_injected = 256; },
        [](CpuState& s) { s.sipi_vector = 256; },
        [](CpuState& s) { s.mp_state = 77; },
        [](CpuState& s) { s.hflags |= hflag_guest; },
        [](CpuState& s) { s.hflags |= hflag_smm; },
    };
    for (const auto spoil : cases) {
        CpuState state;
        spoil(state);
        const Status checked = check_events(state, false);
        ASSERT_FALSE(checked);
        EXPECT_EQ(checked.error().code, ErrorCode::device_state);
    }
}

}  // namespace
}  // namespace godwit
