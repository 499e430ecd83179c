// CPUs with any state and with any code: they are refused, or run, or fail with a reason; and what was loaded comes
// back.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <random>
#include <span>
#include <thread>
#include <vector>

#include "machine/emulator_test_machine.h"

namespace godwit {

namespace {

using testing::EmulatorTestMachine;

/// Values from a seed.
class Any {
public:
    explicit Any(std::uint64_t seed) : engine_(seed) {}
    template <typename T>
    T value() {
        return static_cast<T>(engine_());
    }
    std::uint32_t below(std::uint32_t end) { return static_cast<std::uint32_t>(engine_() % end); }
    bool coin() { return below(2) == 0; }
    std::uint32_t one_of(std::initializer_list<std::uint32_t> values) {
        return std::data(values)[below(static_cast<std::uint32_t>(values.size()))];
    }

private:
    std::mt19937_64 engine_;
};

std::uint32_t any_address(Any& any, std::size_t memory_bytes) {
    const auto size = static_cast<std::uint32_t>(memory_bytes);
    return any.one_of({any.below(size), any.value<std::uint32_t>(), 0, size - 1, size, 0xfee0'0000, 0xffff'ffff});
}

SegmentState any_segment(Any& any) {
    constexpr std::uint32_t flag_bits = 0x00f0'ff00;
    constexpr std::uint32_t granularity = 1U << 23;
    SegmentState segment;
    segment.selector = any.one_of({any.below(0x40), any.below(0x1'0000)});
    segment.base = any.one_of({0, any.value<std::uint32_t>()});
    segment.flags = any.one_of({0xc0'9300, 0xc0'9b00, 0x9300, 0xc0'f300, 0, any.value<std::uint32_t>() & flag_bits});
    segment.limit = any.value<std::uint32_t>() & 0xf'ffff;
    if ((segment.flags & granularity) != 0) {
        segment.limit = segment.limit << 12 | 0xfff;
    }
    return segment;
}

/// What a stream could bring: nothing of it needs to fit.
template <typename T>
void fill(Any& any, T& value) {
    value = any.value<T>();
}

void disturb(Any& any, std::size_t memory_bytes, CpuState& cpu) {
    for (std::size_t n = 0; n < 8; ++n) {
        cpu.regs[n] = any_address(any, memory_bytes);
    }
    if (any.coin()) {
        cpu.rip = any_address(any, memory_bytes);
    }
    cpu.rflags = (any.value<std::uint32_t>() & 0x3d'7fd7) | 2;
    for (SegmentState& segment : cpu.segments) {
        if (any.coin()) {
            segment = any_segment(any);
        }
    }
    for (SegmentState* const table : {&cpu.gdt, &cpu.idt}) {
        table->base = any_address(any, memory_bytes);
        table->limit = any.value<std::uint16_t>();
    }
    if (any.coin()) {
        cpu.ldt = any_segment(any);
        cpu.tr = any_segment(any);
    }
    cpu.cr0 = (any.value<std::uint32_t>() & 0x7fff'ffff) | 1;
    cpu.cr2 = any.value<std::uint32_t>();
    cpu.cr3 = any.value<std::uint32_t>();
    // Features that an emulated CPU has: with others it is refused for sure.
    cpu.cr4 = any.one_of({0, any.value<std::uint32_t>() & 0x7fc});
    cpu.efer = any.value<std::uint64_t>() & ~std::uint64_t{0x5500};
    for (std::uint64_t& value : cpu.dr) {
        value = any.value<std::uint32_t>() & ~std::uint32_t{0xff};
    }
    fill(any, cpu.fpu_control);
    fill(any, cpu.fpu_status);
    cpu.fpu_tags = any.value<std::uint8_t>();
    fill(any, cpu.mxcsr);
    for (FpRegister& value : cpu.fpu_registers) {
        value = {any.value<std::uint64_t>(), any.value<std::uint16_t>()};
    }
    for (std::size_t n = 0; n < 8; ++n) {
        cpu.xmm[n] = {any.value<std::uint64_t>(), any.value<std::uint64_t>()};
    }
    for (std::uint64_t* const msr :
         {&cpu.sysenter_esp, &cpu.sysenter_eip, &cpu.pat, &cpu.mtrr_default_type, &cpu.star, &cpu.lstar, &cpu.cstar,
          &cpu.fmask, &cpu.kernel_gs_base, &cpu.tsc_aux, &cpu.misc_enable, &cpu.mcg_status, &cpu.vm_hsave}) {
        fill(any, *msr);
    }
    cpu.sysenter_cs = any.value<std::uint16_t>();
    for (std::uint64_t& msr : cpu.mtrr_fixed) {
        fill(any, msr);
    }
    for (MtrrRange& range : cpu.mtrr_variable) {
        range = {any.value<std::uint64_t>(), any.value<std::uint64_t>()};
    }
    for (std::uint64_t& bank : cpu.mce_banks) {
        fill(any, bank);
    }
}

TEST(EmulatorProperty, What_is_loaded_comes_back) {
    constexpr std::uint64_t cases = 200;
    const VmState layout = cpu_state_layout();
    std::size_t taken = 0;
    for (std::uint64_t seed = 0; seed < cases; ++seed) {
        EmulatorTestMachine machine;
        machine.boot({0xeb, 0xfe});
        VcpuState state = machine.state();
        Any any(seed);
        disturb(any, machine.bytes(), state.cpu);
        if (const Status loaded = machine.vcpu().load(state); !loaded) {
            EXPECT_EQ(loaded.error().code, ErrorCode::device_state);
            continue;
        }
        ++taken;
        VcpuState back = machine.state();
        // Those that are not the CPU's own.
        back.cpu.tsc = state.cpu.tsc;
        state.cpu.hflags = back.cpu.hflags;
        state.cpu.xstate_bv = back.cpu.xstate_bv;
        EXPECT_EQ(testing::state_bytes(layout, &back.cpu), testing::state_bytes(layout, &state.cpu)) << "seed " << seed;
    }
    EXPECT_GT(taken, cases / 10);
}

/// Calls `interrupt` every millisecond, as long as it is there.
class Interrupter {
public:
    explicit Interrupter(Vcpu& vcpu)
        : thread_([this, &vcpu] {
              while (!end_) {
                  std::this_thread::sleep_for(std::chrono::milliseconds(1));
                  vcpu.interrupt();
              }
          }) {}
    ~Interrupter() {
        end_ = true;
        thread_.join();
    }
    Interrupter(const Interrupter&) = delete;
    Interrupter& operator=(const Interrupter&) = delete;

private:
    std::atomic<bool> end_ = false;
    std::thread thread_;
};

/// Runs it for a moment; what it does then is its own affair, except that it tells a reason if it fails.
void run_a_moment(EmulatorTestMachine& machine, std::uint64_t seed) {
    const Interrupter interrupter(machine.vcpu());
    for (int n = 0; n < 3; ++n) {
        const ExitOutcome outcome = machine.run();
        if (outcome.request && outcome.request->kind == GuestRequest::Kind::cpu_failure) {
            EXPECT_FALSE(outcome.request->message.empty()) << "seed " << seed;
            break;
        }
    }
    VcpuState state;
    if (const Status saved = machine.vcpu().save(state); !saved) {
        EXPECT_EQ(saved.error().code, ErrorCode::device_state) << "seed " << seed;
    }
}

TEST(EmulatorProperty, Whatever_a_stream_brings_is_refused_or_runs_or_fails) {
    constexpr std::uint64_t cases = 100;
    for (std::uint64_t seed = 0; seed < cases; ++seed) {
        EmulatorTestMachine machine;
        machine.boot({0xff, 0xc0, 0xff, 0x75, 0x00, 0x8f, 0x06, 0xdd, 0x1e, 0xa4, 0xeb, 0xf4});
        VcpuState state = machine.state();
        Any any(1000 + seed);
        disturb(any, machine.bytes(), state.cpu);
        if (machine.vcpu().load(state)) {
            run_a_moment(machine, seed);
        }
    }
}

/// Far calls and jumps through a register do not exist, and Unicorn ends the process over them.
void leave_out_what_unicorn_cannot_translate(std::span<std::uint8_t> code) {
    for (std::size_t n = 0; n + 1 < code.size(); ++n) {
        if (code[n] == 0xff && ((code[n + 1] & 0xf8) == 0xd8 || (code[n + 1] & 0xf8) == 0xe8)) {
            code[n] = 0x90;
        }
    }
}

TEST(EmulatorProperty, Any_bytes_as_code_run_or_fail) {
    constexpr std::uint64_t cases = 200;
    for (std::uint64_t seed = 0; seed < cases; ++seed) {
        EmulatorTestMachine machine;
        Any any(seed);
        std::vector<std::uint8_t> code(page_bytes);
        for (std::uint8_t& byte : code) {
            byte = any.value<std::uint8_t>();
        }
        leave_out_what_unicorn_cannot_translate(code);
        machine.boot(code);
        run_a_moment(machine, seed);
    }
}

}  // namespace

}  // namespace godwit
