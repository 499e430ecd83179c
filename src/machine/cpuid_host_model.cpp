#include "machine/cpuid_host_model.h"

#include <algorithm>

#include "machine/cpuid_bits.h"

namespace godwit {

namespace {

/// One register of a leaf and the bits that a guest may see.
struct LeafMask {
    std::uint32_t function;
    std::uint32_t index;
    std::uint32_t eax;
    std::uint32_t ebx;
    std::uint32_t ecx;
    std::uint32_t edx;
};

constexpr std::uint32_t all = ~std::uint32_t{0};

constexpr std::uint32_t leaf1_ecx = all & ~(cpuid::monitor | cpuid::vmx | cpuid::pdcm | cpuid::tsc_deadline);

/// FSGSBASE, BMI1, AVX2, FDP_EXCPTN_ONLY, SMEP, BMI2, ERMS, FCS/FDS deprecation, RDSEED, ADX, SMAP, CLFLUSHOPT, CLWB,
/// SHA-NI.
constexpr std::uint32_t leaf7_ebx = cpuid::bit(0) | cpuid::bit(3) | cpuid::bit(5) | cpuid::bit(6) | cpuid::bit(7) |
                                    cpuid::bit(8) | cpuid::bit(9) | cpuid::bit(13) | cpuid::bit(18) | cpuid::bit(19) |
                                    cpuid::bit(20) | cpuid::bit(23) | cpuid::bit(24) | cpuid::bit(29);
/// UMIP, GFNI, VAES, VPCLMULQDQ, RDPID, CLDEMOTE, MOVDIRI, MOVDIR64B.
constexpr std::uint32_t leaf7_ecx = cpuid::bit(2) | cpuid::bit(8) | cpuid::bit(9) | cpuid::bit(10) | cpuid::bit(22) |
                                    cpuid::bit(25) | cpuid::bit(27) | cpuid::bit(28);
/// Fast short REP MOV, SERIALIZE.
constexpr std::uint32_t leaf7_edx = cpuid::bit(4) | cpuid::bit(14);
/// AVX-VNNI, fast zero-length and short REP.
constexpr std::uint32_t leaf7_1_eax = cpuid::bit(4) | cpuid::bit(10) | cpuid::bit(11) | cpuid::bit(12);

/// Bits 0-9, 12-17, 23 and 24 repeat leaf 1; SYSCALL, NX, MMX extensions, FXSR optimisation, 1 GiB pages, RDTSCP, long
/// mode, 3DNow.
constexpr std::uint32_t extended_edx = cpuid::amd_alias_edx | cpuid::syscall | cpuid::nx | cpuid::bit(22) |
                                       cpuid::bit(25) | cpuid::bit(26) | cpuid::rdtscp | cpuid::long_mode |
                                       cpuid::bit(30) | cpuid::bit(31);
/// LAHF, CR8 by LOCK, ABM, SSE4A, misaligned SSE, 3DNow prefetch, XOP, FMA4, TBM.
constexpr std::uint32_t extended_ecx = cpuid::lahf_lm | cpuid::bit(4) | cpuid::bit(5) | cpuid::bit(6) | cpuid::bit(7) |
                                       cpuid::bit(8) | cpuid::bit(11) | cpuid::bit(16) | cpuid::bit(21);
/// CLZERO, XSAVEERPTR, WBNOINVD.
constexpr std::uint32_t extended8_ebx = cpuid::bit(0) | cpuid::bit(2) | cpuid::bit(9);

constexpr LeafMask shown[] = {
    {0x0, 0, all, all, all, all},
    {0x1, 0, all, all, leaf1_ecx, all},
    {0x7, 0, all, leaf7_ebx, leaf7_ecx, leaf7_edx},
    {0x7, 1, leaf7_1_eax, 0, 0, 0},
    {0xd, 0, cpuid::movable_states, all, all, 0},
    {0xd, 1, cpuid::xsaveopt | cpuid::xsavec | cpuid::xgetbv1, 0, 0, 0},
    {0xd, 2, all, all, all, all},
    {0x4000'0000, 0, all, all, all, all},
    {0x4000'0001, 0, all, 0, 0, 0},
    {0x8000'0000, 0, all, all, all, all},
    {0x8000'0001, 0, all, 0, extended_ecx, extended_edx},
    {0x8000'0002, 0, all, all, all, all},
    {0x8000'0003, 0, all, all, all, all},
    {0x8000'0004, 0, all, all, all, all},
    {0x8000'0008, 0, all, extended8_ebx, 0, 0},
};

/// The size of the XSAVE area that holds x87, SSE and, where it is there, AVX state.
std::uint32_t xsave_bytes(std::uint32_t states) {
    constexpr std::uint32_t legacy_and_header = 576;
    constexpr std::uint32_t upper_halves = 256;
    return legacy_and_header + ((states & cpuid::avx_state) != 0 ? upper_halves : 0);
}

void mask(kvm_cpuid_entry2& entry, const LeafMask& leaf) {
    entry.eax &= leaf.eax;
    entry.ebx &= leaf.ebx;
    entry.ecx &= leaf.ecx;
    entry.edx &= leaf.edx;
    switch (leaf.function) {
        case 0x0:
            entry.eax = std::min(entry.eax, 0xdU);
            break;
        case 0x1:
            entry.ecx |= cpuid::hypervisor;
            break;
        case 0x7:
            if (leaf.index == 0) {
                entry.eax = std::min(entry.eax, 1U);
            }
            break;
        case 0xd:
            if (leaf.index == 0) {
                entry.ebx = xsave_bytes(entry.eax);
                entry.ecx = entry.ebx;
            }
            break;
        case 0x4000'0000:
            entry.eax = 0x4000'0001;
            break;
        case 0x8000'0000:
            entry.eax = std::min(entry.eax, 0x8000'0008U);
            break;
        default:
            break;
    }
}

}  // namespace

CpuidTable make_host_cpuid(const CpuidTable& supported) {
    CpuidTable table;
    for (const LeafMask& leaf : shown) {
        if (const kvm_cpuid_entry2* host = find_cpuid(supported, leaf.function, leaf.index)) {
            kvm_cpuid_entry2 entry = *host;
            mask(entry, leaf);
            table.push_back(entry);
        }
    }
    return table;
}

}  // namespace godwit
