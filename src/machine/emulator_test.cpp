#include "machine/emulator.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "io/event_loop.h"
#include "machine/emulator_test_machine.h"
#include "machine/kvm_test_guests.h"
#include "machine/vcpu_set.h"

namespace godwit {

namespace {

using testing::EmulatorTestMachine;
using ::testing::Test;

class EmulatorTest : public Test {
protected:
    EmulatorTestMachine machine;
};

/// mov $value,%eax; out %eax,$0x80
std::vector<std::uint8_t> tell(std::uint8_t value) {
    return {0xb8, value, 0, 0, 0, 0xe7, 0x80};
}

class SmallDevice : public MmioDevice {
public:
    std::uint64_t read(std::uint64_t offset, unsigned bytes) override { return offset << 8 | bytes; }
    void write(std::uint64_t offset, unsigned bytes, std::uint64_t value) override {
        written.push_back(offset << 32 | std::uint64_t{bytes} << 24 | value);
    }
    std::vector<std::uint64_t> written;
};

TEST_F(EmulatorTest, Devices_see_the_accesses_to_them) {
    SmallDevice device;
    machine.buses().mmio.add(GuestAddress(0xfeb0'0000), ByteCount(0x200), device);
    machine.boot({0xa1, 0x70, 0x00, 0xb0, 0xfe,        // mov 0xfeb00070,%eax
                  0x66, 0xa3, 0x10, 0x00, 0xb0, 0xfe,  // mov %ax,0xfeb00010
                  0x8b, 0x0d, 0x00, 0x00, 0x00, 0xfd,  // mov 0xfd000000,%ecx: nobody's
                  0xe7, 0x80, 0xeb, 0xfe});            // out %eax,$0x80; jmp .
    EXPECT_EQ(machine.run_to_out(), 0x7004U);
    EXPECT_EQ(device.written, std::vector<std::uint64_t>{std::uint64_t{0x10} << 32 | 2U << 24 | 0x7004});
    EXPECT_EQ(machine.state().cpu.regs[CpuState::rcx], 0xffff'ffffU);
}

TEST_F(EmulatorTest, What_follows_a_request_in_the_same_block_reaches_no_device) {
    std::vector<std::uint8_t> code = tell(1);
    const std::vector<std::uint8_t> more = tell(2);
    code.insert(code.end(), more.begin(), more.end());
    code.insert(code.end(), {0xeb, 0xfe});
    machine.boot(code);
    EXPECT_EQ(machine.run_to_out(), 1U);
}

TEST_F(EmulatorTest, A_halted_cpu_waits_until_it_is_interrupted) {
    machine.boot({0xf4, 0xeb, 0xfe});
    EXPECT_EQ(machine.run().kind, ExitOutcome::Kind::carried_out);
    EXPECT_EQ(machine.state().cpu.mp_state, CpuState::mp_halted);
    EXPECT_EQ(machine.state().cpu.rip, 0x1001U);
    machine.vcpu().prepare_run(false);
    machine.vcpu().interrupt();
    EXPECT_EQ(machine.vcpu().run(machine.buses()).kind, ExitOutcome::Kind::interrupted);
}

TEST_F(EmulatorTest, A_cpu_that_halts_right_after_a_request_is_halted) {
    machine.boot({0xe7, 0x80, 0xf4, 0xeb, 0xfe});
    machine.run_to_out();
    EXPECT_EQ(machine.state().cpu.mp_state, CpuState::mp_halted);
    EXPECT_EQ(machine.state().cpu.rip, 0x1003U);
}

TEST_F(EmulatorTest, Paging_is_noticed_before_code_that_has_run_already) {
    // 1: mov %eax,%cr0; jmp 1 with the second time through paging, whose table, at 0x2000, maps the code:
    // mov $0x10,%ecx; mov %ecx,%cr4; mov $0x2000,%ecx; mov %ecx,%cr3; 1: mov %eax,%cr0; nop; or $0x80000000,%eax; jmp 1
    machine.put<std::uint32_t>(0x2000, 0x83);
    machine.boot({0xb9, 0x10, 0x00, 0x00, 0x00, 0x0f, 0x22, 0xe1, 0xb9, 0x00, 0x20, 0x00, 0x00, 0x0f,
                  0x22, 0xd9, 0x0f, 0x22, 0xc0, 0x90, 0x0d, 0x00, 0x00, 0x00, 0x80, 0xeb, 0xf5});
    VcpuState state = machine.state();
    state.cpu.regs[CpuState::rax] = state.cpu.cr0;
    ASSERT_TRUE(machine.vcpu().load(state));
    const std::string message = machine.run_to_failure();
    EXPECT_NE(message.find("paging"), std::string::npos) << message;
    EXPECT_NE(message.find("EIP 0x1013"), std::string::npos) << message;
}

struct Impossible {
    const char* what;
    std::vector<std::uint8_t> code;
};

TEST_F(EmulatorTest, A_guest_that_does_more_than_it_may_ends_with_the_reason) {
    const Impossible cases[] = {
        {"paging", {0x0f, 0x20, 0xc0, 0x0d, 0x00, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0, 0xeb, 0x00, 0xeb, 0xfe}},
        // With a table, at 0x2000, that maps the code.
        {"paging", {0xb8, 0x10, 0x00, 0x00, 0x00, 0x0f, 0x22, 0xe0, 0xb8, 0x00, 0x20, 0x00, 0x00, 0x0f, 0x22, 0xd8,
                    0x0f, 0x20, 0xc0, 0x0d, 0x00, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0, 0xeb, 0x00, 0xeb, 0xfe}},
        {"real mode", {0x0f, 0x20, 0xc0, 0x83, 0xe0, 0xfe, 0x0f, 0x22, 0xc0, 0xeb, 0x00, 0xeb, 0xfe}},
        // mov $1,%eax; mov %eax,%dr7
        {"breakpoints", {0xb8, 0x01, 0x00, 0x00, 0x00, 0x0f, 0x23, 0xf8, 0xeb, 0xfe}},
        {"breakpoints", {0xb8, 0x01, 0x00, 0x00, 0x00, 0x0f, 0x23, 0xe8, 0xeb, 0xfe}},
        {"interrupt controller", {0xa1, 0x20, 0x00, 0xe0, 0xfe, 0xeb, 0xfe}},
        {"exception or interrupt 0", {0x31, 0xc9, 0xf7, 0xf1, 0xeb, 0xfe}},
        {"exception or interrupt 128", {0xcd, 0x80, 0xeb, 0xfe}},
        {"Invalid instruction", {0x0f, 0x0b}},
    };
    for (const Impossible& impossible : cases) {
        EmulatorTestMachine other;
        other.put<std::uint32_t>(0x2000, 0x83);
        other.boot(impossible.code);
        const std::string message = other.run_to_failure();
        EXPECT_NE(message.find(impossible.what), std::string::npos) << impossible.what << ": " << message;
        EXPECT_NE(message.find("EIP 0x10"), std::string::npos) << message;
    }
}

TEST_F(EmulatorTest, A_guest_that_needs_more_is_refused) {
    machine.boot({0xf4});
    const VcpuState good = machine.state();
    struct {
        const char* what;
        void (*change)(VcpuState&);
    } const cases[] = {
        {"64-bit mode", [](VcpuState& state) { state.cpu.efer = 0x500; }},
        {"paging", [](VcpuState& state) { state.cpu.cr0 |= std::uint64_t{1} << 31; }},
        {"real mode", [](VcpuState& state) { state.cpu.cr0 &= ~std::uint64_t{1}; }},
        {"segment FS",
         [](VcpuState& state) {
             state.cpu.segments[CpuState::fs] = {.selector = 0x18, .base = 0, .limit = 0xfff, .flags = 0x8200};
         }},
        {"no code or no stack", [](VcpuState& state) { state.cpu.segments[CpuState::cs].flags = 0; }},
        {"virtual-8086", [](VcpuState& state) { state.cpu.rflags |= 1U << 17; }},
        {"clock of KVM", [](VcpuState& state) { state.cpu.system_time_msr = 0x5001; }},
        {"breakpoints", [](VcpuState& state) { state.cpu.dr[7] |= 1; }},
        {"on its way", [](VcpuState& state) { state.cpu.interrupt_injected = 0x41; }},
        {"XSAVE", [](VcpuState& state) { state.cpu.cr4 |= 1U << 18; }},
        {"AVX", [](VcpuState& state) { state.cpu.xcr0 = 7; }},
        {"FSGSBASE", [](VcpuState& state) { state.cpu.cr4 |= 1U << 16; }},
        {"PCID", [](VcpuState& state) { state.cpu.cr4 |= 1U << 17; }},
        {"SMEP", [](VcpuState& state) { state.cpu.cr4 |= 1U << 20; }},
        {"SMAP", [](VcpuState& state) { state.cpu.cr4 |= 1U << 21; }},
        {"UMIP", [](VcpuState& state) { state.cpu.cr4 |= 1U << 11; }},
        {"start message", [](VcpuState& state) { state.cpu.mp_state = CpuState::mp_uninitialized; }},
    };
    for (const auto& refused : cases) {
        VcpuState state = good;
        refused.change(state);
        const Status loaded = machine.vcpu().load(state);
        ASSERT_FALSE(loaded) << refused.what;
        EXPECT_EQ(loaded.error().code, ErrorCode::device_state);
        EXPECT_NE(loaded.error().message.find(refused.what), std::string::npos) << loaded.error().message;
    }
    EXPECT_TRUE(machine.vcpu().load(good));
    VcpuState state = good;
    state.cpu.cr4 = 0x6b0;
    state.cpu.xcr0 = 3;
    state.cpu.efer = 0x801;
    EXPECT_TRUE(machine.vcpu().load(state)) << "features that it has";
}

TEST_F(EmulatorTest, A_cpu_that_arrives_as_after_power_on_is_refused) {
    ASSERT_TRUE(reset_vcpu(machine.vcpu()));
    EmulatorTestMachine other;
    const Status moved = testing::move_devices(machine, other);
    ASSERT_FALSE(moved);
    EXPECT_EQ(moved.error().code, ErrorCode::device_state);
    EXPECT_NE(moved.error().message.find("real mode"), std::string::npos) << moved.error().message;
}

TEST_F(EmulatorTest, That_time_jumps_is_said_once_a_guest_that_arrived_runs) {
    machine.boot({0xe7, 0x80, 0xeb, 0xfc});
    machine.run_to_out();
    EmulatorTestMachine other;
    ASSERT_TRUE(testing::move_devices(machine, other));
    std::memcpy(other.host(), machine.host(), other.bytes());
    EXPECT_EQ(machine.log().count("sees a jump"), 0U);
    EXPECT_EQ(other.log().count("sees a jump"), 0U);
    other.run_to_out();
    other.run_to_out();
    EXPECT_EQ(other.log().count("sees a jump"), 1U);
}

TEST_F(EmulatorTest, It_has_one_cpu_and_no_memory_above_4_gib) {
    EXPECT_EQ(make_emulator(machine.log(), 2).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(machine.machine()
                  .add_memory(1, GuestAddress(std::uint64_t{1} << 32), machine.host(), ByteCount(page_bytes))
                  .error()
                  .code,
              ErrorCode::invalid_argument);
}

TEST_F(EmulatorTest, Stopped_again_and_again_a_guest_computes_the_same) {
    constexpr std::size_t results = 200;
    EmulatorTestMachine undisturbed;
    undisturbed.boot(testing::checksum_guest);
    machine.boot(testing::checksum_guest);
    std::atomic<bool> end = false;
    machine.vcpu().prepare_run(false);
    std::thread interrupter([&] {
        while (!end) {
            machine.vcpu().interrupt();
        }
    });
    std::size_t stops = 0;
    while (machine.port.told.size() < results) {
        const ExitOutcome outcome = machine.run();
        stops += outcome.kind == ExitOutcome::Kind::interrupted ? 1 : 0;
    }
    end = true;
    interrupter.join();
    for (std::size_t n = 0; n < results; ++n) {
        undisturbed.run_to_out();
    }
    EXPECT_EQ(machine.port.told, undisturbed.port.told);
    EXPECT_GT(stops, 0U);
}

TEST_F(EmulatorTest, A_throttled_cpu_does_less) {
    // 1: incl 0x9000; jmp 1
    machine.boot({0xff, 0x05, 0x00, 0x90, 0x00, 0x00, 0xeb, 0xf8});
    EventLoop loop;
    VcpuSet vcpus(machine.machine(), 1, machine.buses(), [] {});
    ASSERT_TRUE(vcpus.start(loop));
    vcpus.resume();
    const std::atomic_ref counter(*reinterpret_cast<std::uint32_t*>(machine.host() + 0x9000));
    const auto progress = [&] {
        const std::uint32_t before = counter.load();
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        return counter.load() - before;
    };
    // The host may be busy: both take turns, so that it disturbs both.
    std::uint64_t without = 0;
    std::uint64_t with = 0;
    for (int n = 0; n < 8; ++n) {
        vcpus.throttle(0);
        without += progress();
        vcpus.throttle(90);
        with += progress();
    }
    EXPECT_LT(with, without / 2) << "of " << without;
    EXPECT_GT(with, 0U);
    ASSERT_TRUE(vcpus.pause());
}

}  // namespace

}  // namespace godwit
