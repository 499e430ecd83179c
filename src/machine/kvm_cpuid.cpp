#include "machine/kvm_cpuid.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>

#include "machine/cpuid_bits.h"
#include "machine/cpuid_host_model.h"
#include "machine/cpuid_qemu_models.h"
#include "machine/kvm_ioctl.h"

namespace godwit {

namespace {

constexpr std::uint32_t extended_leaf = 0x8000'0000;
constexpr std::uint32_t kvm_leaf = 0x4000'0000;
/// Intel's description of caches.
constexpr std::uint32_t cache_leaf = 4;

void set_subleaf(CpuidTable& table, std::uint32_t function, std::uint32_t index, std::uint32_t shift,
                 std::uint32_t processors, std::uint32_t type, std::uint32_t apic_id) {
    kvm_cpuid_entry2 entry{};
    entry.function = function;
    entry.index = index;
    entry.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
    entry.eax = shift;
    entry.ebx = processors;
    entry.ecx = index | (type << 8);
    entry.edx = apic_id;
    table.push_back(entry);
}

kvm_cpuid_entry2* find_mutable(CpuidTable& table, std::uint32_t function) {
    return const_cast<kvm_cpuid_entry2*>(find_cpuid(table, function));
}

}  // namespace

Result<CpuidTable> read_supported_cpuid(int kvm_fd) {
    constexpr std::uint32_t max_entries = 512;
    const std::size_t bytes = sizeof(kvm_cpuid2) + max_entries * sizeof(kvm_cpuid_entry2);
    const auto storage = std::make_unique<std::uint64_t[]>(bytes / sizeof(std::uint64_t) + 1);
    auto* list = reinterpret_cast<kvm_cpuid2*>(storage.get());
    list->nent = max_entries;
    if (auto got = kvm_ioctl(kvm_fd, GODWIT_KVM(KVM_GET_SUPPORTED_CPUID), list, ErrorCode::unsupported); !got) {
        return fail(got.error());
    }
    return CpuidTable(list->entries, list->entries + list->nent);
}

bool is_amd(const kvm_cpuid_entry2& vendor) {
    return std::memcmp(&vendor.ebx, "Auth", sizeof vendor.ebx) == 0;
}

std::uint32_t movable_kvm_features(const CpuidTable& supported) {
    using namespace cpuid;
    const kvm_cpuid_entry2* host = find_cpuid(supported, kvm_leaf + 1);
    constexpr std::uint32_t movable = kvm_clocksource | kvm_nop_io_delay | kvm_clocksource2 | kvm_async_page_fault |
                                      kvm_steal_time | kvm_pv_eoi | kvm_clocksource_stable;
    return host == nullptr ? 0 : host->eax & movable;
}

CpuidTable make_cpuid(CpuModel model, const CpuidTable& supported, Log& log) {
    if (model != CpuModel::host) {
        return make_qemu_cpuid(model, supported, log);
    }
    CpuidTable table = make_host_cpuid(supported);
    if (kvm_cpuid_entry2* features = find_mutable(table, kvm_leaf + 1)) {
        features->eax = movable_kvm_features(supported);
        features->edx = 0;
    }
    return table;
}

void add_topology(CpuidTable& table, std::uint32_t index, std::uint32_t count) {
    const auto core_bits = static_cast<std::uint32_t>(std::bit_width(count - 1));
    if (kvm_cpuid_entry2* features = find_mutable(table, 1)) {
        // Bits 23-16 of EBX count the CPUs of the package, where there are several; bits 31-24 are the APIC id.
        const std::uint32_t ids = count > 1 ? std::min(count, 255U) : 0;
        features->ebx = (features->ebx & 0xffff) | (ids << 16) | (index << 24);
        features->edx = count > 1 ? features->edx | cpuid::htt : features->edx & ~cpuid::htt;
    }
    const kvm_cpuid_entry2* vendor = find_cpuid(table, 0);
    kvm_cpuid_entry2* extended = find_mutable(table, extended_leaf + 1);
    if (extended != nullptr && vendor != nullptr && is_amd(*vendor)) {
        extended->ecx = count > 1 ? extended->ecx | cpuid::cmp_legacy : extended->ecx & ~cpuid::cmp_legacy;
    }
    if (kvm_cpuid_entry2* sizes = find_mutable(table, extended_leaf + 8)) {
        sizes->ecx = ((count - 1) & 0xff) | (core_bits << 12);
    }
    for (kvm_cpuid_entry2& entry : table) {
        if (entry.function == cache_leaf) {
            // Bits 31-26 of EAX: cores of the package, less one; 25-14: who shares the cache, which is the last level
            // alone.
            constexpr std::uint32_t last_level = 3;
            const std::uint32_t sharing = entry.index == last_level ? (1U << core_bits) - 1 : 0;
            entry.eax |= (std::min(count - 1, 63U) << 26) | (sharing << 14);
        }
    }
    constexpr std::uint32_t thread_level = 1;
    constexpr std::uint32_t core_level = 2;
    set_subleaf(table, 0xb, 0, 0, 1, thread_level, index);
    set_subleaf(table, 0xb, 1, core_bits, count, core_level, index);
    set_subleaf(table, 0xb, 2, 0, 0, 0, index);
}

const kvm_cpuid_entry2* find_cpuid(const CpuidTable& table, std::uint32_t function, std::uint32_t index) {
    const auto found = std::find_if(table.begin(), table.end(), [=](const kvm_cpuid_entry2& entry) {
        return entry.function == function &&
               ((entry.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) == 0 || entry.index == index);
    });
    return found == table.end() ? nullptr : &*found;
}

std::uint32_t physical_address_bits(const CpuidTable& table) {
    constexpr std::uint32_t without_leaf = 36;
    constexpr std::uint32_t most = 52;
    const kvm_cpuid_entry2* sizes = find_cpuid(table, extended_leaf + 8);
    return sizes == nullptr ? without_leaf : std::min(sizes->eax & 0xff, most);
}

std::uint32_t cpu_signature(const CpuidTable& table) {
    const kvm_cpuid_entry2* features = find_cpuid(table, 1);
    return features == nullptr ? 0 : features->eax;
}

}  // namespace godwit
