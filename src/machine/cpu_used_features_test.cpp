#include "machine/cpu_used_features.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

CpuidTable small_cpu() {
    kvm_cpuid_entry2 basic{};
    basic.function = 1;
    // PAE, PGE, FXSR, SSE, SSE2.
    basic.edx = 1U << 6 | 1U << 13 | 1U << 24 | 1U << 25 | 1U << 26;
    kvm_cpuid_entry2 extended{};
    extended.function = 0x8000'0001;
    // SYSCALL, 64-bit mode.
    extended.edx = 1U << 11 | 1U << 29;
    return {basic, extended};
}

TEST(CpuUsedFeatures, WhatTheCpuHasMayBeInUse) {
    CpuState state;
    state.cr4 = 1U << 5 | 1U << 7 | 1U << 9 | 1U << 10;
    state.efer = 1U << 0 | 1U << 8 | 1U << 10;
    state.xcr0 = 3;
    const Status checked = check_used_features(state, small_cpu());
    EXPECT_TRUE(checked) << checked.error().text();
}

TEST(CpuUsedFeatures, WhatItLacksIsNamed) {
    struct {
        std::uint64_t CpuState::*member;
        unsigned bit;
        const char* name;
    } const cases[] = {
        {&CpuState::cr4, 20, "SMEP (bit 20 of CR4)"},
        {&CpuState::cr4, 18, "XSAVE (bit 18 of CR4)"},
        {&CpuState::cr4, 12, "LA57"},
        {&CpuState::efer, 11, "NX) (bit 11 of EFER)"},
        {&CpuState::xcr0, 2, "AVX (bit 2 of XCR0)"},
        {&CpuState::cr4, 22, "PKU) (bit 22 of CR4)"},
        {&CpuState::cr4, 4, "large pages (PSE)"},
    };
    for (const auto& each : cases) {
        CpuState state;
        state.*each.member |= std::uint64_t{1} << each.bit;
        const Status checked = check_used_features(state, small_cpu());
        ASSERT_FALSE(checked) << each.name;
        EXPECT_EQ(checked.error().code, ErrorCode::device_state);
        EXPECT_NE(checked.error().message.find(each.name), std::string::npos) << checked.error().message;
    }
}

}  // namespace
}  // namespace godwit
