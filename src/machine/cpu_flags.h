#pragma once

#include <cstdint>

#include "machine/cpu_state.h"

namespace godwit {

// QEMU's "hidden flags": a summary of a CPU's mode that travels with its registers. Most follow from the registers;
// those named here carry state of their own.

/// In `hflags`: the instruction before was one that holds interrupts off (STI, MOV SS).
inline constexpr std::uint32_t hflag_interrupt_shadow = 1U << 3;
/// In `hflags`: system management mode.
inline constexpr std::uint32_t hflag_smm = 1U << 19;
/// In `hflags`: inside a guest of its own.
inline constexpr std::uint32_t hflag_guest = 1U << 21;
/// In `hflags2`: NMIs are held off until IRET.
inline constexpr std::uint32_t hflag2_nmi_masked = 1U << 2;
/// In `hflags2`: system management mode was entered while NMIs were held off.
inline constexpr std::uint32_t hflag2_smm_inside_nmi = 1U << 4;
/// In `hflags2`: the global interrupt flags, which are set where there is no nested virtualisation.
inline constexpr std::uint32_t hflag2_global_interrupts = (1U << 0) | (1U << 8);

/// The part of `hflags` that follows from the registers in `state`.
std::uint32_t hidden_flags(const CpuState& state);

}  // namespace godwit
