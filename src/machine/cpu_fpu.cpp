#include "machine/cpu_fpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "machine/cpuid_bits.h"

namespace godwit {

namespace {

// The XSAVE area (Intel SDM volume 1, "Layout of the XSAVE area"): what FXSAVE stores, a header, the upper halves of
// the YMM registers.
struct LegacyArea {
    std::uint16_t control;
    std::uint16_t status;
    std::uint8_t tags;
    std::uint8_t reserved;
    std::uint16_t opcode;
    std::uint64_t instruction;
    std::uint64_t operand;
    std::uint32_t mxcsr;
    std::uint32_t mxcsr_mask;
    struct {
        std::uint64_t mantissa;
        std::uint16_t exponent;
        std::uint8_t padding[6];
    } registers[8];
    XmmState xmm[16];
    std::uint8_t padding[96];
};
static_assert(sizeof(LegacyArea) == 512);

constexpr std::size_t header_offset = 512;
constexpr std::size_t ymm_high_offset = 576;

template <typename T>
T read_at(const kvm_xsave& area, std::size_t offset) {
    T value;
    std::memcpy(&value, reinterpret_cast<const std::byte*>(&area) + offset, sizeof value);
    return value;
}

template <typename T>
void write_at(kvm_xsave& area, std::size_t offset, const T& value) {
    std::memcpy(reinterpret_cast<std::byte*>(&area) + offset, &value, sizeof value);
}

/// The parts that are in use: those that are said to be, and those that are not as after a reset. (A sender that
/// emulates the CPU may not keep account of the parts in use.)
std::uint64_t used_states(const CpuState& state) {
    constexpr std::uint16_t initial_control = 0x37f;
    constexpr std::uint32_t initial_mxcsr = 0x1f80;
    const auto is_set = [](const XmmState& xmm) { return (xmm.low | xmm.high) != 0; };
    std::uint64_t states = state.xstate_bv;
    if (state.fpu_tags != 0 || state.fpu_status != 0 || state.fpu_control != initial_control) {
        states |= cpuid::x87_state;
    }
    if (state.mxcsr != initial_mxcsr || std::any_of(state.xmm.begin(), state.xmm.end(), is_set)) {
        states |= cpuid::sse_state;
    }
    return states;
}

}  // namespace

void from_kvm_xsave(const kvm_xsave& area, std::uint64_t xcr0, CpuState& state) {
    const auto legacy = read_at<LegacyArea>(area, 0);
    state.fpu_control = legacy.control;
    state.fpu_status = legacy.status;
    state.fpu_tags = legacy.tags;
    state.fpu_format = 0;
    state.fpu_opcode = legacy.opcode;
    state.fpu_instruction = legacy.instruction;
    state.fpu_operand = legacy.operand;
    state.mxcsr = legacy.mxcsr;
    for (std::size_t n = 0; n < state.fpu_registers.size(); ++n) {
        state.fpu_registers[n] = {legacy.registers[n].mantissa, legacy.registers[n].exponent};
    }
    for (std::size_t n = 0; n < state.xmm.size(); ++n) {
        state.xmm[n] = legacy.xmm[n];
    }
    state.xcr0 = xcr0;
    state.xstate_bv = read_at<std::uint64_t>(area, header_offset) & (xcr0 | cpuid::x87_state | cpuid::sse_state);
    state.ymm_high = {};
    if ((state.xstate_bv & cpuid::avx_state) != 0) {
        state.ymm_high = read_at<decltype(state.ymm_high)>(area, ymm_high_offset);
    }
}

kvm_xsave to_kvm_xsave(const CpuState& state) {
    LegacyArea legacy{};
    legacy.control = state.fpu_control;
    legacy.status = state.fpu_status;
    legacy.tags = static_cast<std::uint8_t>(state.fpu_tags);
    legacy.opcode = state.fpu_opcode;
    legacy.instruction = state.fpu_instruction;
    legacy.operand = state.fpu_operand;
    legacy.mxcsr = state.mxcsr;
    for (std::size_t n = 0; n < state.fpu_registers.size(); ++n) {
        legacy.registers[n].mantissa = state.fpu_registers[n].mantissa;
        legacy.registers[n].exponent = state.fpu_registers[n].exponent;
    }
    for (std::size_t n = 0; n < state.xmm.size(); ++n) {
        legacy.xmm[n] = state.xmm[n];
    }
    kvm_xsave area{};
    write_at(area, 0, legacy);
    write_at(area, header_offset, used_states(state));
    if ((state.xstate_bv & cpuid::avx_state) != 0) {
        write_at(area, ymm_high_offset, state.ymm_high);
    }
    return area;
}

Status check_fpu(const CpuState& state) {
    if (state.fpu_format != 0 || state.fpu_tags > 0xff) {
        return fail(ErrorCode::device_state,
                    fmt::format("x87 registers of format {:#x} with tags {:#x} are not understood", state.fpu_format,
                                state.fpu_tags));
    }
    const std::uint64_t unknown = (state.xcr0 | state.xstate_bv) & ~std::uint64_t{cpuid::movable_states};
    if (unknown != 0) {
        return fail(
            ErrorCode::device_state,
            fmt::format("the CPU has extended state {:#x}, of which only x87, SSE and AVX can be moved", unknown),
            "give the guest a CPU model without AVX-512 and newer state");
    }
    const bool avx_alone = (state.xcr0 & cpuid::avx_state) != 0 && (state.xcr0 & cpuid::sse_state) == 0;
    if ((state.xcr0 & cpuid::x87_state) == 0 || avx_alone) {
        return fail(ErrorCode::device_state, fmt::format("XCR0 has the impossible value {:#x}", state.xcr0));
    }
    return {};
}

}  // namespace godwit
