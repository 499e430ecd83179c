#include "machine/cpu_registers.h"

#include <gtest/gtest.h>

#include <cstring>

#include "machine/cpu_flags.h"

namespace godwit {
namespace {

constexpr std::uint32_t flat_code = 0xc09b00;
constexpr std::uint32_t flat_data = 0xc09300;

CpuState protected_mode() {
    CpuState state;
    state.cr0 = 0x11;
    state.segments.fill({0x10, 0, 0xffff'ffff, flat_data});
    state.segments[CpuState::cs] = {0x8, 0, 0xffff'ffff, flat_code};
    state.tr = {0, 0, 0x67, 0x8b00};
    return state;
}

TEST(CpuRegisters, SegmentsKeepEveryFlag) {
    for (const std::uint32_t flags : {flat_code, flat_data, 0xa09b00U, 0x00f300U, 0x8b00U, 0x8200U, 0xf0fb00U}) {
        const SegmentState segment{0x2b, 0x1234'5678, 0xffff'ffff, flags};
        const SegmentState back = from_kvm_segment(to_kvm_segment(segment));
        EXPECT_EQ(back.flags, flags);
        EXPECT_EQ(back.selector, segment.selector);
        EXPECT_EQ(back.base, segment.base);
        EXPECT_EQ(back.limit, segment.limit);
    }
}

TEST(CpuRegisters, UnusableSegmentsHaveNoFlags) {
    kvm_segment segment{};
    segment.type = 3;
    segment.s = 1;
    segment.unusable = 1;
    EXPECT_EQ(from_kvm_segment(segment).flags, 0U);
    EXPECT_EQ(to_kvm_segment(SegmentState{}).unusable, 1);
    EXPECT_EQ(to_kvm_segment(SegmentState{0, 0, 0, flat_data}).unusable, 0);
}

TEST(CpuRegisters, GeneralRegistersKeepTheirPlaces) {
    CpuState state;
    for (std::size_t n = 0; n < state.regs.size(); ++n) {
        state.regs[n] = 0x100 + n;
    }
    state.rip = 7;
    state.rflags = 0x202;
    const kvm_regs regs = to_kvm_regs(state);
    // The order in which instructions number them.
    EXPECT_EQ(regs.rax, 0x100U);
    EXPECT_EQ(regs.rcx, 0x101U);
    EXPECT_EQ(regs.rdx, 0x102U);
    EXPECT_EQ(regs.rbx, 0x103U);
    EXPECT_EQ(regs.rsp, 0x104U);
    EXPECT_EQ(regs.rbp, 0x105U);
    EXPECT_EQ(regs.rsi, 0x106U);
    EXPECT_EQ(regs.rdi, 0x107U);
    EXPECT_EQ(regs.r15, 0x10fU);
    CpuState back;
    from_kvm_regs(regs, back);
    EXPECT_EQ(back.regs, state.regs);
    EXPECT_EQ(back.rip, state.rip);
    EXPECT_EQ(back.rflags, state.rflags);
}

TEST(CpuRegisters, ControlRegistersAndTablesComeBack) {
    CpuState state = protected_mode();
    state.gdt = {0, 0xffff'0000, 0x27, 0};
    state.idt = {0, 0x3000, 0x7ff, 0};
    state.cr2 = 1;
    state.cr3 = 2;
    state.cr4 = 3;
    state.efer = 0x500;
    kvm_sregs sregs{};
    sregs.cr8 = 9;
    sregs.apic_base = 10;
    to_kvm_sregs(state, sregs);
    EXPECT_EQ(sregs.cr8, 9U);
    EXPECT_EQ(sregs.apic_base, 10U);
    CpuState back;
    from_kvm_sregs(sregs, back);
    EXPECT_EQ(back.cr0, state.cr0);
    EXPECT_EQ(back.cr2, state.cr2);
    EXPECT_EQ(back.cr3, state.cr3);
    EXPECT_EQ(back.cr4, state.cr4);
    EXPECT_EQ(back.efer, state.efer);
    EXPECT_EQ(back.gdt.base, state.gdt.base);
    EXPECT_EQ(back.idt.limit, state.idt.limit);
    EXPECT_EQ(back.tr.limit, state.tr.limit);
    EXPECT_EQ(back.segments[CpuState::cs].flags, flat_code);
}

TEST(CpuFlags, FollowTheMode) {
    CpuState real;
    real.segments.fill({0, 0, 0xffff, 0x9300});
    real.segments[CpuState::cs] = {0xf000, 0xffff'0000, 0xffff, 0x9b00};
    real.cr0 = 0x6000'0010;
    EXPECT_EQ(hidden_flags(real), 0x40U);

    CpuState protected32 = protected_mode();
    EXPECT_EQ(hidden_flags(protected32), 0xb0U);
    protected32.cr4 = 0x620;
    EXPECT_EQ(hidden_flags(protected32), 0x4000b0U);
    protected32.segments[CpuState::ds].base = 0x1000;
    EXPECT_EQ(hidden_flags(protected32), 0x4000f0U);

    CpuState long_mode = protected_mode();
    long_mode.efer = 0x500;
    long_mode.rflags = 0x3102;
    long_mode.segments[CpuState::cs].flags = 0xaffb00;
    long_mode.segments[CpuState::ss].flags = 0xcff300;
    long_mode.cr0 = 0x8000'003b;
    // User code with trap flag and I/O privilege 3.
    EXPECT_EQ(hidden_flags(long_mode), 3U | 0x30 | 0x80 | 0x100 | 0x3000 | 0x4000 | 0x8000 | 0x200 | 0x800);
}

struct BadRegister {
    const char* name;
    void (*spoil)(CpuState&);
};

TEST(CpuRegisters, RefuseWhatNoCpuCanHave) {
    const BadRegister cases[] = {
        {"RFLAGS", [](CpuState& s) { s.rflags = 0; }},
        {"RFLAGS", [](CpuState& s) { s.rflags = 0xffff'ffff'0000'0002; }},
        {"ES", [](CpuState& s) { s.segments[0].selector = 0x1'0000; }},
        {"SS", [](CpuState& s) { s.segments[2].limit = 0xffff'0000; }},
        {"DS",
         [](CpuState& s) {
             s.segments[3] = {0x10, 0, 0x1f'ffff, 0x9300};
         }},
        {"GS", [](CpuState& s) { s.segments[5].base = 0x0800'0000'0000'0000; }},
        {"LDTR", [](CpuState& s) { s.ldt.selector = 0xffff'ffff; }},
        {"TR", [](CpuState& s) { s.tr.limit = 0xffff'ffff; }},
        {"GDTR", [](CpuState& s) { s.gdt.limit = 0x1'0000; }},
        {"IDTR", [](CpuState& s) { s.idt.base = 0x8000'0000'0000'0000; }},
        {"address line 20", [](CpuState& s) { s.a20_mask = ~(1 << 20); }},
    };
    EXPECT_TRUE(check_registers(protected_mode()));
    for (const BadRegister& bad : cases) {
        CpuState state = protected_mode();
        bad.spoil(state);
        const Status checked = check_registers(state);
        ASSERT_FALSE(checked) << bad.name;
        EXPECT_EQ(checked.error().code, ErrorCode::device_state);
        EXPECT_TRUE(checked.error().message.starts_with(std::string(bad.name) + " ")) << checked.error().message;
    }
}

}  // namespace
}  // namespace godwit
