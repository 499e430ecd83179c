#include <gtest/gtest.h>

#include <bit>

#include "machine/emulator_test_machine.h"
#include "machine/kvm_test_guests.h"

namespace godwit {

namespace {

using testing::EmulatorTestMachine;
using testing::KvmTestMachine;

TEST(EmulatorState, All_registers_come_back) {
    EmulatorTestMachine machine;
    // 1: movb $1,0x9000; jmp 1
    constexpr std::size_t flag = 0x9000;
    machine.boot({0xc6, 0x05, 0x00, 0x90, 0x00, 0x00, 0x01, 0xeb, 0xf7});
    VcpuState state = machine.state();
    for (std::size_t n = 0; n < 8; ++n) {
        state.cpu.regs[n] = 0x1000'0000 + n;
        state.cpu.xmm[n] = {n + 1, n + 2};
        state.cpu.fpu_registers[n] = {0x8000'0000'0000'0000 + n, static_cast<std::uint16_t>(0x3fff + n)};
    }
    state.cpu.fpu_status = 0x2800;
    state.cpu.fpu_tags = 0xa5;
    state.cpu.fpu_control = 0x27f;
    state.cpu.mxcsr = 0x1f00;
    state.cpu.cr2 = 0x1234;
    state.cpu.cr3 = 0x5000;
    state.cpu.cr4 = 0x200;
    state.cpu.sysenter_cs = 8;
    state.cpu.sysenter_esp = 0x7000;
    state.cpu.sysenter_eip = 0x7100;
    state.cpu.dr[1] = 0x4321;
    state.cpu.gdt = {.selector = 0, .base = 0x3000, .limit = 0x1f, .flags = 0};
    state.cpu.idt = {.selector = 0, .base = 0x3800, .limit = 0x7ff, .flags = 0};
    state.cpu.segments[CpuState::fs] = {.selector = 0x18, .base = 0x1234'5678, .limit = 0xfff, .flags = 0x40'9300};
    state.cpu.segments[CpuState::gs] = {.selector = 0, .base = 0, .limit = 0, .flags = 0};
    state.cpu.lstar = 0x99;
    state.cpu.kernel_gs_base = 0x77;
    state.cpu.mtrr_fixed[2] = 6;
    // Carried, since the emulator does not have it.
    state.cpu.efer = 0x801;
    state.cpu.mcg_ctl = 3;
    state.cpu.xmm[9] = {1, 1};
    ASSERT_TRUE(machine.vcpu().load(state));
    // It runs, so that the engine has them all.
    machine.vcpu().prepare_run(false);
    std::thread interrupter([&] {
        const std::atomic_ref has_run(*reinterpret_cast<std::uint8_t*>(machine.host() + flag));
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (has_run.load() == 0 && std::chrono::steady_clock::now() < deadline) {
            std::this_thread::yield();
        }
        EXPECT_EQ(has_run.load(), 1);
        machine.vcpu().interrupt();
    });
    EXPECT_EQ(machine.vcpu().run(machine.buses()).kind, ExitOutcome::Kind::interrupted);
    interrupter.join();
    VcpuState back = machine.state();
    back.cpu.tsc = state.cpu.tsc;
    state.cpu.hflags = back.cpu.hflags;
    state.cpu.xstate_bv = back.cpu.xstate_bv;
    const VmState layout = cpu_state_layout();
    EXPECT_EQ(testing::state_bytes(layout, &back.cpu), testing::state_bytes(layout, &state.cpu));
    EXPECT_EQ(back.cpu.segments[CpuState::fs].base, 0x1234'5678U);
    EXPECT_EQ(back.cpu.fpu_registers[3].mantissa, 0x8000'0000'0000'0003U);
}

TEST(EmulatorState, A_loaded_x87_unit_computes) {
    EmulatorTestMachine machine;
    // fstpl 0x8000; mov 0x8004,%eax; out %eax,$0x80; jmp .
    machine.boot({0xdd, 0x1d, 0x00, 0x80, 0x00, 0x00, 0xa1, 0x04, 0x80, 0x00, 0x00, 0xe7, 0x80, 0xeb, 0xfe});
    VcpuState state = machine.state();
    state.cpu.fpu_status = 6U << 11;
    state.cpu.fpu_tags = 0xc0;
    state.cpu.fpu_registers[0] = {0x8000'0000'0000'0000, 0x4000};
    ASSERT_TRUE(machine.vcpu().load(state));
    machine.run_to_out();
    EXPECT_EQ(machine.get<double>(0x8000), 2.0);
    EXPECT_EQ(machine.state().cpu.fpu_status >> 11 & 7, 7);
    EXPECT_EQ(machine.state().cpu.fpu_tags, 0x80);
}

TEST(EmulatorState, Segments_that_the_guest_loads_itself_are_those_of_its_table) {
    EmulatorTestMachine machine;
    const std::uint64_t table[] = {0, 0x00cf'9b00'0000'ffff, 0x00cf'9300'0000'ffff, 0x0040'9301'2000'0fff};
    std::memcpy(machine.host() + 0x3000, table, sizeof table);
    machine.put<std::uint16_t>(0x3010 + 0x100, sizeof table - 1);
    machine.put<std::uint32_t>(0x3012 + 0x100, 0x3000);
    machine.put<std::uint32_t>(0x1'2000, 0x4711);
    // lgdtl 0x3110; mov $0x18,%eax; mov %eax,%fs; mov %fs:0,%eax; out %eax,$0x80; jmp .
    machine.boot({0x0f, 0x01, 0x15, 0x10, 0x31, 0x00, 0x00, 0xb8, 0x18, 0x00, 0x00, 0x00,
                  0x8e, 0xe0, 0x64, 0xa1, 0x00, 0x00, 0x00, 0x00, 0xe7, 0x80, 0xeb, 0xfe});
    EXPECT_EQ(machine.run_to_out(), 0x4711U);
    const CpuState state = machine.state().cpu;
    EXPECT_EQ(state.gdt.base, 0x3000U);
    EXPECT_EQ(state.gdt.limit, 0x1fU);
    EXPECT_EQ(state.segments[CpuState::fs].selector, 0x18U);
    EXPECT_EQ(state.segments[CpuState::fs].base, 0x1'2000U);
    EXPECT_EQ(state.segments[CpuState::fs].limit, 0xfffU);
    EXPECT_EQ(state.segments[CpuState::ds].limit, 0xffff'ffffU);
}

/// A guest with a local table of two segments at 0x3800, bases 0x12000 and 0x20000, whose descriptor in the global
/// table at 0x3000 is under 0x18. Its own segments are flat.
class EmulatorLocalTable : public ::testing::Test {
protected:
    static constexpr std::uint64_t global_table[] = {0, 0x00cf'9b00'0000'ffff, 0x00cf'9300'0000'ffff,
                                                     0x0000'8200'3800'000f, 0x0000'8200'3900'000f};
    static constexpr std::uint64_t local_table[] = {0x0040'9301'2000'0fff, 0x0040'9302'0000'0fff};

    EmulatorLocalTable() {
        std::memcpy(machine.host() + 0x3000, global_table, sizeof global_table);
        std::memcpy(machine.host() + 0x3800, local_table, sizeof local_table);
    }
    void boot(const std::vector<std::uint8_t>& code) {
        machine.boot(code);
        VcpuState state = machine.state();
        state.cpu.gdt = {.selector = 0, .base = 0x3000, .limit = sizeof global_table - 1, .flags = 0};
        ASSERT_TRUE(machine.vcpu().load(state));
    }
    SegmentState segment(CpuState::Segment place) { return machine.state().cpu.segments[place]; }

    EmulatorTestMachine machine;
};

TEST_F(EmulatorLocalTable, Its_segments_are_found_the_first_one_too) {
    // mov $0x18,%eax; lldt %ax; mov $4,%eax; mov %eax,%es; mov $12,%eax; mov %eax,%ds; out %eax,$0x80; jmp .
    boot({0xb8, 0x18, 0,    0,  0, 0x0f, 0x00, 0xd0, 0xb8, 4,    0,    0,    0,
          0x8e, 0xc0, 0xb8, 12, 0, 0,    0,    0x8e, 0xd8, 0xe7, 0x80, 0xeb, 0xfe});
    machine.run_to_out();
    EXPECT_EQ(machine.state().cpu.ldt.base, 0x3800U);
    EXPECT_EQ(segment(CpuState::es).selector, 4U);
    EXPECT_EQ(segment(CpuState::es).base, 0x1'2000U);
    EXPECT_EQ(segment(CpuState::es).limit, 0xfffU);
    EXPECT_EQ(segment(CpuState::ds).base, 0x2'0000U);
}

TEST_F(EmulatorLocalTable, Its_first_segment_arrives) {
    machine.put<std::uint32_t>(0x1'2010, 0x4711);
    // mov %es:0x10,%eax; out %eax,$0x80; jmp .
    boot({0x26, 0xa1, 0x10, 0, 0, 0, 0xe7, 0x80, 0xeb, 0xfe});
    VcpuState state = machine.state();
    state.cpu.ldt = {.selector = 0x18, .base = 0x3800, .limit = 0xf, .flags = 0x8200};
    state.cpu.segments[CpuState::es] = {.selector = 4, .base = 0x1'2000, .limit = 0xfff, .flags = 0x40'9300};
    ASSERT_TRUE(machine.vcpu().load(state));
    EXPECT_EQ(machine.run_to_out(), 0x4711U);
    EXPECT_EQ(segment(CpuState::es).base, 0x1'2000U);
}

TEST_F(EmulatorLocalTable, Under_the_same_selector_another_table_has_another_segment) {
    constexpr std::uint64_t other_table[] = {0x0040'9305'0000'0fff, 0x0040'9306'0000'0fff};
    std::memcpy(machine.host() + 0x3900, other_table, sizeof other_table);
    // mov $0x20,%eax; lldt %ax; mov $4,%eax; mov %eax,%es; out %eax,$0x80; jmp .
    boot({0xb8, 0x20, 0, 0, 0, 0x0f, 0x00, 0xd0, 0xb8, 4, 0, 0, 0, 0x8e, 0xc0, 0xe7, 0x80, 0xeb, 0xfe});
    VcpuState state = machine.state();
    state.cpu.ldt = {.selector = 0x18, .base = 0x3800, .limit = 0xf, .flags = 0x8200};
    state.cpu.segments[CpuState::es] = {.selector = 4, .base = 0x1'2000, .limit = 0xfff, .flags = 0x40'9300};
    ASSERT_TRUE(machine.vcpu().load(state));
    machine.run_to_out();
    EXPECT_EQ(segment(CpuState::es).base, 0x5'0000U);
}

TEST_F(EmulatorLocalTable, A_segment_of_it_is_kept_when_only_the_global_table_moves) {
    // lgdtl 0x3100; out %eax,$0x80; jmp .
    boot({0x0f, 0x01, 0x15, 0, 0x31, 0, 0, 0xe7, 0x80, 0xeb, 0xfe});
    machine.put<std::uint16_t>(0x3100, sizeof global_table - 1);
    machine.put<std::uint32_t>(0x3102, 0x3000 - 8);
    VcpuState state = machine.state();
    state.cpu.ldt = {.selector = 0x18, .base = 0x3800, .limit = 0xf, .flags = 0x8200};
    // The table says something else by now.
    state.cpu.segments[CpuState::es] = {.selector = 12, .base = 0x7'0000, .limit = 0x7ff, .flags = 0x40'9300};
    ASSERT_TRUE(machine.vcpu().load(state));
    machine.run_to_out();
    EXPECT_EQ(segment(CpuState::es).base, 0x7'0000U);
    EXPECT_EQ(segment(CpuState::es).limit, 0x7ffU);
}

TEST(EmulatorState, Registers_that_the_guest_writes_to_are_kept) {
    struct {
        std::uint32_t msr;
        std::uint64_t (*place)(const CpuState&);
    } const cases[] = {
        {0x174, [](const CpuState& cpu) { return std::uint64_t{cpu.sysenter_cs}; }},
        {0x1a0, [](const CpuState& cpu) { return cpu.misc_enable; }},
        {0x207, [](const CpuState& cpu) { return cpu.mtrr_variable[3].mask; }},
        {0x268, [](const CpuState& cpu) { return cpu.mtrr_fixed[3]; }},
        {0x277, [](const CpuState& cpu) { return cpu.pat; }},
        {0x405, [](const CpuState& cpu) { return cpu.mce_banks[5]; }},
        {0xc000'0081, [](const CpuState& cpu) { return cpu.star; }},
        {0xc000'0102, [](const CpuState& cpu) { return cpu.kernel_gs_base; }},
        {0xc000'0103, [](const CpuState& cpu) { return cpu.tsc_aux; }},
    };
    for (const auto& each : cases) {
        EmulatorTestMachine machine;
        // mov $0x1230,%eax; xor %edx,%edx; wrmsr; out %eax,$0x80; rdmsr; out %eax,$0x80
        machine.boot({0xb8, 0x30, 0x12, 0, 0, 0x31, 0xd2, 0x0f, 0x30, 0xe7, 0x80, 0xeb, 0x00, 0x0f, 0x32, 0xe7, 0x80});
        VcpuState state = machine.state();
        state.cpu.regs[CpuState::rcx] = each.msr;
        ASSERT_TRUE(machine.vcpu().load(state));
        machine.run_to_out();
        EXPECT_EQ(each.place(machine.state().cpu), 0x1230U) << each.msr;
        // It arrives, too.
        ASSERT_TRUE(machine.vcpu().load(machine.state()));
        EXPECT_EQ(machine.run_to_out(), 0x1230U) << each.msr;
    }
}

TEST(EmulatorState, A_base_that_the_guest_gives_to_fs_is_kept) {
    EmulatorTestMachine machine;
    machine.put<std::uint32_t>(0x2'0010, 0x4711);
    // mov $0x20000,%eax; xor %edx,%edx; mov $0xc0000100,%ecx; wrmsr; out %eax,$0x80; jmp .+2; mov %fs:0x10,%eax; out
    machine.boot({0xb8, 0,    0,    2,    0,    0x31, 0xd2, 0xb9, 0, 1, 0, 0xc0, 0x0f,
                  0x30, 0xe7, 0x80, 0xeb, 0x00, 0x64, 0xa1, 0x10, 0, 0, 0, 0xe7, 0x80});
    VcpuState state = machine.state();
    state.cpu.segments[CpuState::fs] = {.selector = 0x18, .base = 0x1000, .limit = 0xf'ffff, .flags = 0x40'9300};
    ASSERT_TRUE(machine.vcpu().load(state));
    machine.run_to_out();
    state = machine.state();
    EXPECT_EQ(state.cpu.segments[CpuState::fs].base, 0x2'0000U);
    EXPECT_EQ(state.cpu.segments[CpuState::fs].limit, 0xf'ffffU);
    ASSERT_TRUE(machine.vcpu().load(state));
    EXPECT_EQ(machine.run_to_out(), 0x4711U);
}

TEST(EmulatorState, A_descriptor_that_the_guest_writes_anew_and_loads_again_is_taken_for_fs) {
    EmulatorTestMachine machine;
    const std::uint64_t table[] = {0, 0x00cf'9b00'0000'ffff, 0x00cf'9300'0000'ffff, 0x0040'9301'2000'0fff};
    std::memcpy(machine.host() + 0x3000, table, sizeof table);
    // mov $0x18,%eax; mov %eax,%fs; out %eax,$0x80; movb $5,0x301c; movw $0x7ff,0x3018; mov %eax,%fs; out; jmp .
    machine.boot({0xb8, 0x18, 0,    0,    0,    0x8e, 0xe0, 0xe7, 0x80, 0xeb, 0x00, 0xc6, 0x05, 0x1c, 0x30, 0,   0,
                  5,    0x66, 0xc7, 0x05, 0x18, 0x30, 0,    0,    0xff, 0x07, 0x8e, 0xe0, 0xe7, 0x80, 0xeb, 0xfe});
    VcpuState state = machine.state();
    state.cpu.gdt = {.selector = 0, .base = 0x3000, .limit = sizeof table - 1, .flags = 0};
    ASSERT_TRUE(machine.vcpu().load(state));
    machine.run_to_out();
    EXPECT_EQ(machine.state().cpu.segments[CpuState::fs].base, 0x1'2000U);
    machine.run_to_out();
    const SegmentState fs = machine.state().cpu.segments[CpuState::fs];
    EXPECT_EQ(fs.base, 0x5'2000U);
    EXPECT_EQ(fs.limit, 0x7ffU);
}

TEST(EmulatorState, Code_that_was_changed_before_a_load_is_what_runs) {
    EmulatorTestMachine machine;
    const std::vector<std::uint8_t> code = {0xb8, 1, 0, 0, 0, 0xe7, 0x80, 0xeb, 0xf7};
    machine.boot(code);
    EXPECT_EQ(machine.run_to_out(), 1U);
    EXPECT_EQ(machine.run_to_out(), 1U);
    machine.put<std::uint8_t>(EmulatorTestMachine::code_address + 1, 2);
    ASSERT_TRUE(machine.vcpu().load(machine.state()));
    EXPECT_EQ(machine.run_to_out(), 2U);
}

class EmulatorAndKvm : public testing::KvmTest {};

TEST_F(EmulatorAndKvm, A_guest_moves_to_the_emulator_and_back) {
    constexpr int results = 5;
    KvmTestMachine reference;
    reference.boot(testing::checksum_guest);
    KvmTestMachine kvm;
    kvm.boot(testing::checksum_guest);
    for (int n = 0; n < results; ++n) {
        EXPECT_EQ(kvm.run_to_out(), reference.run_to_out());
    }
    EmulatorTestMachine emulator;
    ASSERT_EQ(emulator.bytes(), kvm.memory().bytes());
    std::memcpy(emulator.host(), kvm.memory().host(), emulator.bytes());
    Status moved = testing::move_devices(kvm, emulator);
    ASSERT_TRUE(moved) << moved.error().text();
    for (int n = 0; n < results; ++n) {
        EXPECT_EQ(emulator.run_to_out(), reference.run_to_out());
    }
    KvmTestMachine back;
    std::memcpy(back.memory().host(), emulator.host(), emulator.bytes());
    moved = testing::move_devices(emulator, back);
    ASSERT_TRUE(moved) << moved.error().text();
    for (int n = 0; n < results; ++n) {
        EXPECT_EQ(back.run_to_out(), reference.run_to_out());
    }
}

}  // namespace

}  // namespace godwit
