#include "machine/cpu_flags.h"

namespace godwit {

namespace {

constexpr std::uint32_t cs32 = 1U << 4;
constexpr std::uint32_t ss32 = 1U << 5;
constexpr std::uint32_t nonzero_bases = 1U << 6;
constexpr std::uint32_t protected_mode = 1U << 7;
constexpr std::uint32_t long_mode_active = 1U << 14;
constexpr std::uint32_t cs64 = 1U << 15;
constexpr std::uint32_t fxsr = 1U << 22;

constexpr std::uint32_t descriptor_long = 1U << 21;
constexpr std::uint32_t descriptor_default_size = 1U << 22;
constexpr std::uint32_t vm86 = 1U << 17;

/// Operand and address sizes, as the code and stack segments say.
std::uint32_t size_flags(const CpuState& state, std::uint32_t flags) {
    const SegmentState& code = state.segments[CpuState::cs];
    const SegmentState& stack = state.segments[CpuState::ss];
    if ((flags & long_mode_active) != 0 && (code.flags & descriptor_long) != 0) {
        return cs32 | ss32 | cs64;
    }
    std::uint32_t sizes = 0;
    if ((code.flags & descriptor_default_size) != 0) {
        sizes |= cs32;
    }
    if ((stack.flags & descriptor_default_size) != 0) {
        sizes |= ss32;
    }
    const bool flat_possible = (flags & protected_mode) != 0 && (state.rflags & vm86) == 0 && (sizes & cs32) != 0;
    const std::uint64_t bases = state.segments[CpuState::ds].base | state.segments[CpuState::es].base | stack.base;
    return !flat_possible || bases != 0 ? sizes | nonzero_bases : sizes;
}

}  // namespace

std::uint32_t hidden_flags(const CpuState& state) {
    constexpr std::uint64_t efer_long_mode_active = 1U << 10;
    constexpr std::uint64_t cr4_fxsr = 1U << 9;
    // Trap flag, I/O privilege level and virtual-8086 mode have the same places in RFLAGS.
    constexpr std::uint32_t same_as_rflags = (1U << 8) | (3U << 12) | vm86;
    const std::uint32_t privilege = (state.segments[CpuState::ss].flags >> 13) & 3;
    std::uint32_t flags = privilege | (static_cast<std::uint32_t>(state.rflags) & same_as_rflags);
    flags |= (state.cr0 & 1) != 0 ? protected_mode : 0;
    // Monitor coprocessor, emulation, task switched: bits 1 to 3 of CR0 become bits 9 to 11.
    flags |= (static_cast<std::uint32_t>(state.cr0) & 0xe) << 8;
    flags |= (state.efer & efer_long_mode_active) != 0 ? long_mode_active : 0;
    flags |= (state.cr4 & cr4_fxsr) != 0 ? fxsr : 0;
    return flags | size_flags(state, flags);
}

}  // namespace godwit
