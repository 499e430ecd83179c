#pragma once

#include <cstdint>

namespace godwit::cpuid {

// Feature bits by leaf and register, as in the manuals of Intel (SDM volume 2, CPUID) and AMD (APM volume 3), and for
// leaf 0x40000001 in the kernel's Documentation/virt/kvm/x86/cpuid.rst.

constexpr std::uint32_t bit(unsigned number) {
    return std::uint32_t{1} << number;
}

// Leaf 1, EDX; leaf 0x80000001, EDX repeats bits 0-9, 12-17, 23 and 24 of it on AMD's CPUs.
inline constexpr std::uint32_t vme = bit(1);
inline constexpr std::uint32_t sep = bit(11);
inline constexpr std::uint32_t htt = bit(28);
/// x87, VME off, debugging, PSE, TSC, MSR, PAE, machine check, CMPXCHG8B, APIC, SYSENTER, MTRR, PGE, MCA, CMOV, PAT,
/// PSE-36, CLFLUSH, MMX, FXSR, SSE, SSE2.
inline constexpr std::uint32_t base_edx = bit(0) | bit(2) | bit(3) | bit(4) | bit(5) | bit(6) | bit(7) | bit(8) |
                                          bit(9) | sep | bit(12) | bit(13) | bit(14) | bit(15) | bit(16) | bit(17) |
                                          bit(19) | bit(23) | bit(24) | bit(25) | bit(26);
inline constexpr std::uint32_t amd_alias_edx = 0x0183'f3ff;

// Leaf 1, ECX.
inline constexpr std::uint32_t sse3 = bit(0);
inline constexpr std::uint32_t monitor = bit(3);
inline constexpr std::uint32_t vmx = bit(5);
inline constexpr std::uint32_t cx16 = bit(13);
inline constexpr std::uint32_t pdcm = bit(15);
inline constexpr std::uint32_t x2apic = bit(21);
inline constexpr std::uint32_t tsc_deadline = bit(24);
inline constexpr std::uint32_t xsave = bit(26);
inline constexpr std::uint32_t osxsave = bit(27);
inline constexpr std::uint32_t avx = bit(28);
inline constexpr std::uint32_t hypervisor = bit(31);

// Leaf 0x80000001, EDX and ECX.
inline constexpr std::uint32_t syscall = bit(11);
inline constexpr std::uint32_t nx = bit(20);
inline constexpr std::uint32_t rdtscp = bit(27);
inline constexpr std::uint32_t long_mode = bit(29);
inline constexpr std::uint32_t lahf_lm = bit(0);
inline constexpr std::uint32_t cmp_legacy = bit(1);

// Leaf 0xd, subleaf 0, EAX: state components.
inline constexpr std::uint32_t x87_state = bit(0);
inline constexpr std::uint32_t sse_state = bit(1);
inline constexpr std::uint32_t avx_state = bit(2);
inline constexpr std::uint32_t movable_states = x87_state | sse_state | avx_state;
// Subleaf 1, EAX.
inline constexpr std::uint32_t xsaveopt = bit(0);
inline constexpr std::uint32_t xsavec = bit(1);
inline constexpr std::uint32_t xgetbv1 = bit(2);

// Leaf 0x40000001, EAX: those whose state is in the machine's layout.
inline constexpr std::uint32_t kvm_clocksource = bit(0);
inline constexpr std::uint32_t kvm_nop_io_delay = bit(1);
inline constexpr std::uint32_t kvm_clocksource2 = bit(3);
inline constexpr std::uint32_t kvm_async_page_fault = bit(4);
inline constexpr std::uint32_t kvm_steal_time = bit(5);
inline constexpr std::uint32_t kvm_pv_eoi = bit(6);
/// Addresses of more than 255 CPUs in message-signalled interrupts: a promise of the machine, not of KVM. It has no
/// state.
inline constexpr std::uint32_t kvm_msi_ext_dest_id = bit(15);
inline constexpr std::uint32_t kvm_clocksource_stable = bit(24);

}  // namespace godwit::cpuid
