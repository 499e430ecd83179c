#include "machine/emulator_registers.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "machine/cpu_flags.h"
#include "machine/cpuid_bits.h"
#include "machine/emulator_msrs.h"
#include "machine/emulator_segments.h"

namespace godwit {

namespace {

/// Registers of 32 bits, whose upper half is 0 where the layout has 64.
struct PlainRegister {
    int id;
    std::uint64_t CpuState::*member;
};
/// CR0 last: it switches to the mode that the others are for.
constexpr std::array<PlainRegister, 5> plain_registers{{{UC_X86_REG_EIP, &CpuState::rip},
                                                        {UC_X86_REG_CR2, &CpuState::cr2},
                                                        {UC_X86_REG_CR3, &CpuState::cr3},
                                                        {UC_X86_REG_CR4, &CpuState::cr4},
                                                        {UC_X86_REG_CR0, &CpuState::cr0}}};
/// In the order of the layout.
constexpr std::array<int, 8> general_registers{UC_X86_REG_EAX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_EBX,
                                               UC_X86_REG_ESP, UC_X86_REG_EBP, UC_X86_REG_ESI, UC_X86_REG_EDI};
constexpr std::array<int, 6> debug_registers{0, 1, 2, 3, 6, 7};

constexpr std::size_t fpu_registers = 8;
/// A 64-bit mantissa and 16 bits of sign and exponent; Unicorn's are of 10 bytes.
using FpuBytes = std::array<std::byte, 16>;

/// Writes a register and remembers whether any has failed.
class Writer {
public:
    explicit Writer(uc_engine* uc) : uc_(uc) {}
    template <typename T>
    void write(int id, const T& value) {
        good_ = good_ && uc_reg_write(uc_, id, &value) == UC_ERR_OK;
    }
    Status status(const char* group) const {
        return good_ ? Status()
                     : fail(ErrorCode::device_state, fmt::format("the emulator does not take the {}", group));
    }

private:
    uc_engine* const uc_;
    bool good_ = true;
};

template <typename T>
T read(uc_engine* uc, int id) {
    T value{};
    uc_reg_read(uc, id, &value);
    return value;
}

/// The layout has the registers from the top of the stack on, Unicorn by their numbers.
int fpu_register(std::uint16_t status, std::size_t from_top) {
    const std::size_t top = status >> 11 & 7;
    return UC_X86_REG_FP0 + static_cast<int>((top + from_top) % fpu_registers);
}

void load_fpu(Writer& writer, const CpuState& state) {
    writer.write(UC_X86_REG_FPCW, state.fpu_control);
    writer.write(UC_X86_REG_FPSW, state.fpu_status);
    std::uint16_t tags = 0;
    for (std::size_t n = 0; n < fpu_registers; ++n) {
        FpuBytes bytes{};
        std::memcpy(bytes.data(), &state.fpu_registers[n].mantissa, sizeof(std::uint64_t));
        std::memcpy(bytes.data() + sizeof(std::uint64_t), &state.fpu_registers[n].exponent, sizeof(std::uint16_t));
        writer.write(fpu_register(state.fpu_status, n), bytes);
        // Two bits per register, 3 for one that is not in use.
        const unsigned tag = (state.fpu_tags >> n & 1) != 0 ? 0 : 3;
        tags = static_cast<std::uint16_t>(tags | tag << (2 * n));
        writer.write(UC_X86_REG_XMM0 + static_cast<int>(n), state.xmm[n]);
    }
    writer.write(UC_X86_REG_FPTAG, tags);
    writer.write(UC_X86_REG_MXCSR, state.mxcsr);
}

void save_fpu(uc_engine* uc, CpuState& state) {
    state.fpu_control = read<std::uint16_t>(uc, UC_X86_REG_FPCW);
    state.fpu_status = read<std::uint16_t>(uc, UC_X86_REG_FPSW);
    const auto tags = read<std::uint16_t>(uc, UC_X86_REG_FPTAG);
    state.fpu_tags = 0;
    for (std::size_t n = 0; n < fpu_registers; ++n) {
        const auto bytes = read<FpuBytes>(uc, fpu_register(state.fpu_status, n));
        std::memcpy(&state.fpu_registers[n].mantissa, bytes.data(), sizeof(std::uint64_t));
        std::memcpy(&state.fpu_registers[n].exponent, bytes.data() + sizeof(std::uint64_t), sizeof(std::uint16_t));
        if ((tags >> (2 * n) & 3) != 3) {
            state.fpu_tags = static_cast<std::uint16_t>(state.fpu_tags | 1U << n);
        }
        state.xmm[n] = read<XmmState>(uc, UC_X86_REG_XMM0 + static_cast<int>(n));
    }
    state.mxcsr = read<std::uint32_t>(uc, UC_X86_REG_MXCSR);
    // What is not marked as in use would be initialised where it arrives.
    state.xstate_bv |= cpuid::x87_state | cpuid::sse_state;
}

}  // namespace

Status load_engine(EmulatorEngine& engine, const CpuState& state) {
    uc_engine* const uc = engine.handle();
    Writer writer(uc);
    // The mode in which segments are loaded.
    writer.write(UC_X86_REG_CR0, state.cr0);
    if (Status loaded = load_segments(engine, state); !loaded) {
        return loaded;
    }
    for (std::size_t n = 0; n < general_registers.size(); ++n) {
        writer.write(general_registers[n], state.regs[n]);
    }
    writer.write(UC_X86_REG_EFLAGS, state.rflags);
    if (Status loaded = load_msrs(uc, state); !loaded) {
        return loaded;
    }
    for (const PlainRegister& plain : plain_registers) {
        writer.write(plain.id, state.*plain.member);
    }
    for (const int number : debug_registers) {
        writer.write(UC_X86_REG_DR0 + number, state.dr[static_cast<std::size_t>(number)]);
    }
    load_fpu(writer, state);
    return writer.status("guest's registers");
}

Status save_engine(const EmulatorEngine& engine, const std::vector<EmulatorMemory>& memory, CpuState& state) {
    uc_engine* const uc = engine.handle();
    // Nothing else fails, and a failure leaves the segments as they are.
    if (Status saved = save_segments(engine, memory, state); !saved) {
        return saved;
    }
    for (std::size_t n = 0; n < general_registers.size(); ++n) {
        state.regs[n] = read<std::uint32_t>(uc, general_registers[n]);
    }
    state.rflags = read<std::uint32_t>(uc, UC_X86_REG_EFLAGS) | 2;
    save_msrs(uc, state);
    for (const PlainRegister& plain : plain_registers) {
        state.*plain.member = read<std::uint32_t>(uc, plain.id);
    }
    for (const int number : debug_registers) {
        state.dr[static_cast<std::size_t>(number)] = read<std::uint32_t>(uc, UC_X86_REG_DR0 + number);
    }
    save_fpu(uc, state);
    state.hflags = hidden_flags(state);
    return {};
}

}  // namespace godwit
