#include "machine/cpu_fpu.h"

#include <gtest/gtest.h>

#include <cstring>

namespace godwit {
namespace {

CpuState sample() {
    CpuState state;
    state.fpu_control = 0x27f;
    state.fpu_status = 0x3820;
    state.fpu_tags = 0xa5;
    state.fpu_opcode = 0x123;
    state.fpu_instruction = 0x1'0000'1234;
    state.fpu_operand = 0x5678;
    for (std::size_t n = 0; n < 8; ++n) {
        state.fpu_registers[n] = {0x8000'0000'0000'0000 + n, static_cast<std::uint16_t>(0x3fff + n)};
    }
    for (std::uint64_t n = 0; n < 16; ++n) {
        state.xmm[n] = {0x1000 + n, 0x2000 + n};
        state.ymm_high[n] = {0x3000 + n, 0x4000 + n};
    }
    state.mxcsr = 0x1fa0;
    state.xcr0 = 7;
    state.xstate_bv = 7;
    return state;
}

TEST(CpuFpu, AreaHasTheArchitecturesLayout) {
    const kvm_xsave area = to_kvm_xsave(sample());
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&area);
    const auto word = [bytes](std::size_t offset) {
        std::uint64_t value = 0;
        std::memcpy(&value, bytes + offset, sizeof value);
        return value;
    };
    EXPECT_EQ(word(0) & 0xffff, 0x27fU);
    EXPECT_EQ((word(0) >> 16) & 0xffff, 0x3820U);
    EXPECT_EQ(bytes[4], 0xa5);
    EXPECT_EQ(word(8), 0x1'0000'1234U);
    EXPECT_EQ(word(24) & 0xffff'ffff, 0x1fa0U);
    EXPECT_EQ(word(32 + 16 * 3), 0x8000'0000'0000'0003U);
    EXPECT_EQ(word(160 + 16 * 5), 0x1005U);
    EXPECT_EQ(word(512), 7U);
    EXPECT_EQ(word(576 + 16 * 15 + 8), 0x400fU);
}

TEST(CpuFpu, AllPartsComeBack) {
    const CpuState state = sample();
    CpuState back;
    from_kvm_xsave(to_kvm_xsave(state), state.xcr0, back);
    EXPECT_EQ(back.xcr0, state.xcr0);
    EXPECT_EQ(back.fpu_control, state.fpu_control);
    EXPECT_EQ(back.fpu_status, state.fpu_status);
    EXPECT_EQ(back.fpu_tags, state.fpu_tags);
    EXPECT_EQ(back.fpu_opcode, state.fpu_opcode);
    EXPECT_EQ(back.fpu_instruction, state.fpu_instruction);
    EXPECT_EQ(back.fpu_operand, state.fpu_operand);
    EXPECT_EQ(back.mxcsr, state.mxcsr);
    EXPECT_EQ(back.xstate_bv, state.xstate_bv);
    for (std::size_t n = 0; n < 8; ++n) {
        EXPECT_EQ(back.fpu_registers[n].mantissa, state.fpu_registers[n].mantissa);
        EXPECT_EQ(back.fpu_registers[n].exponent, state.fpu_registers[n].exponent);
    }
    for (std::size_t n = 0; n < 16; ++n) {
        EXPECT_EQ(back.xmm[n].low, state.xmm[n].low);
        EXPECT_EQ(back.xmm[n].high, state.xmm[n].high);
        EXPECT_EQ(back.ymm_high[n].low, state.ymm_high[n].low);
        EXPECT_EQ(back.ymm_high[n].high, state.ymm_high[n].high);
    }
}

TEST(CpuFpu, PartsInUseAreFoundWhereTheSenderDoesNotSay) {
    const auto states = [](const CpuState& state) {
        CpuState back;
        from_kvm_xsave(to_kvm_xsave(state), state.xcr0, back);
        return back.xstate_bv;
    };
    CpuState state;
    EXPECT_EQ(states(state), 0U);
    state.xmm[3].low = 1;
    EXPECT_EQ(states(state), 2U);
    state.fpu_tags = 1;
    EXPECT_EQ(states(state), 3U);
}

TEST(CpuFpu, UpperHalvesThatAreNotInUseAreZero) {
    CpuState state = sample();
    state.xstate_bv = 3;
    CpuState back = sample();
    from_kvm_xsave(to_kvm_xsave(state), state.xcr0, back);
    EXPECT_EQ(back.ymm_high[3].low, 0U);
}

TEST(CpuFpu, StateThatTheGuestNeverEnabledIsNotSaved) {
    constexpr std::uint64_t pkru = std::uint64_t{1} << 9;
    CpuState reported = sample();
    reported.xstate_bv |= pkru;
    CpuState back;
    from_kvm_xsave(to_kvm_xsave(reported), 7, back);
    EXPECT_EQ(back.xstate_bv, 7U);
    EXPECT_TRUE(check_fpu(back));
    from_kvm_xsave(to_kvm_xsave(reported), 1, back);
    EXPECT_EQ(back.xstate_bv, 3U) << "SSE needs no XCR0";
    EXPECT_EQ(back.ymm_high[3].low, 0U);
    // One that uses it is refused, not crippled.
    from_kvm_xsave(to_kvm_xsave(reported), 7 | pkru, back);
    EXPECT_FALSE(check_fpu(back));
}

TEST(CpuFpu, RefusesStateThatHasNoPlace) {
    EXPECT_TRUE(check_fpu(sample()));
    for (const unsigned bit : {3U, 5U, 9U, 18U, 63U}) {
        CpuState state = sample();
        state.xstate_bv |= std::uint64_t{1} << bit;
        EXPECT_FALSE(check_fpu(state)) << bit;
        state = sample();
        state.xcr0 |= std::uint64_t{1} << bit;
        EXPECT_FALSE(check_fpu(state)) << bit;
    }
    for (const std::uint64_t xcr0 : {0U, 2U, 5U}) {
        CpuState state = sample();
        state.xcr0 = xcr0;
        EXPECT_FALSE(check_fpu(state)) << xcr0;
    }
    CpuState state = sample();
    state.fpu_format = 1;
    EXPECT_FALSE(check_fpu(state));
}

}  // namespace
}  // namespace godwit
