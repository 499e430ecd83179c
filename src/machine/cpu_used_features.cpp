#include "machine/cpu_used_features.h"

#include <fmt/format.h>

#include <string_view>

#include "machine/cpuid_bits.h"

namespace godwit {

namespace {

using cpuid::bit;

/// A bit that a guest sets to use a feature, and the bit of CPUID that says the feature is there. What has more state
/// than the layout has a place for, as AVX-512 has, is refused elsewhere (cpu_fpu.h).
struct UsedFeature {
    std::string_view name;
    std::string_view where;
    std::uint64_t CpuState::*member;
    unsigned used_bit;
    std::uint32_t leaf;
    __u32 kvm_cpuid_entry2::*answer;
    unsigned feature_bit;
};

constexpr std::uint32_t extended = 0x8000'0001;
constexpr auto ebx = &kvm_cpuid_entry2::ebx;
constexpr auto ecx = &kvm_cpuid_entry2::ecx;
constexpr auto edx = &kvm_cpuid_entry2::edx;

constexpr UsedFeature used_features[] = {
    {"virtual-8086 extensions (VME)", "CR4", &CpuState::cr4, 0, 1, edx, 1},
    {"protected-mode virtual interrupts (PVI)", "CR4", &CpuState::cr4, 1, 1, edx, 1},
    {"the time stamp counter (TSD)", "CR4", &CpuState::cr4, 2, 1, edx, 4},
    {"debugging extensions (DE)", "CR4", &CpuState::cr4, 3, 1, edx, 2},
    {"machine check (MCE)", "CR4", &CpuState::cr4, 6, 1, edx, 7},
    {"safer mode (SMX)", "CR4", &CpuState::cr4, 14, 1, ecx, 6},
    {"large pages (PSE)", "CR4", &CpuState::cr4, 4, 1, edx, 3},
    {"PAE", "CR4", &CpuState::cr4, 5, 1, edx, 6},
    {"global pages (PGE)", "CR4", &CpuState::cr4, 7, 1, edx, 13},
    {"FXSAVE", "CR4", &CpuState::cr4, 9, 1, edx, 24},
    {"SSE", "CR4", &CpuState::cr4, 10, 1, edx, 25},
    {"UMIP", "CR4", &CpuState::cr4, 11, 7, ecx, 2},
    {"five-level paging (LA57)", "CR4", &CpuState::cr4, 12, 7, ecx, 16},
    {"VMX", "CR4", &CpuState::cr4, 13, 1, ecx, 5},
    {"FSGSBASE", "CR4", &CpuState::cr4, 16, 7, ebx, 0},
    {"PCID", "CR4", &CpuState::cr4, 17, 1, ecx, 17},
    {"XSAVE", "CR4", &CpuState::cr4, 18, 1, ecx, 26},
    {"SMEP", "CR4", &CpuState::cr4, 20, 7, ebx, 7},
    {"SMAP", "CR4", &CpuState::cr4, 21, 7, ebx, 20},
    {"protection keys (PKU)", "CR4", &CpuState::cr4, 22, 7, ecx, 3},
    {"control-flow enforcement (CET)", "CR4", &CpuState::cr4, 23, 7, ecx, 7},
    {"SYSCALL", "EFER", &CpuState::efer, 0, extended, edx, 11},
    {"64-bit mode", "EFER", &CpuState::efer, 8, extended, edx, 29},
    {"no-execute pages (NX)", "EFER", &CpuState::efer, 11, extended, edx, 20},
    {"SVM", "EFER", &CpuState::efer, 12, extended, ecx, 2},
    {"fast FXSAVE (FFXSR)", "EFER", &CpuState::efer, 14, extended, edx, 25},
    {"AVX", "XCR0", &CpuState::xcr0, 2, 1, ecx, 28},
};

bool has(const CpuidTable& table, const UsedFeature& feature) {
    const kvm_cpuid_entry2* entry = find_cpuid(table, feature.leaf);
    return entry != nullptr && (entry->*feature.answer & bit(feature.feature_bit)) != 0;
}

}  // namespace

Status check_used_features(const CpuState& state, const CpuidTable& cpuid) {
    for (const UsedFeature& feature : used_features) {
        const bool used = ((state.*feature.member >> feature.used_bit) & 1) != 0;
        if (used && !has(cpuid, feature)) {
            return fail(ErrorCode::device_state,
                        fmt::format("the guest uses {} (bit {} of {}), which this machine's CPU model does not have",
                                    feature.name, feature.used_bit, feature.where),
                        "start the destination with the source's CPU model (--cpu), on a host that has its features");
        }
    }
    return {};
}

}  // namespace godwit
