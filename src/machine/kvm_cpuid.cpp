#include "machine/kvm_cpuid.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>

#include "machine/cpuid_bits.h"
#include "machine/cpuid_host_model.h"
#include "machine/kvm_ioctl.h"

namespace godwit {

namespace {

constexpr std::uint32_t extended_leaf = 0x8000'0000;
constexpr std::uint32_t kvm_leaf = 0x4000'0000;

std::uint32_t word(const char* text) {
    std::uint32_t value = 0;
    std::memcpy(&value, text, sizeof value);
    return value;
}

/// Takes from the host what a model wants, one register at a time.
class ModelBuilder {
public:
    ModelBuilder(const CpuidTable& supported, Log& log) : supported_(supported), log_(log) {}

    std::uint32_t keep(std::uint32_t function, __u32 kvm_cpuid_entry2::*member, const char* name,
                       std::uint32_t wanted) {
        const kvm_cpuid_entry2* host = find_cpuid(supported_, function);
        const std::uint32_t offered = host == nullptr ? 0 : host->*member;
        if ((wanted & ~offered) != 0) {
            log_.write(LogLevel::info,
                       fmt::format("CPU model qemu64: this host lacks bits {:#010x} of CPUID leaf {:#x} {}",
                                   wanted & ~offered, function, name));
        }
        return wanted & offered;
    }

    void add(std::uint32_t function, std::uint32_t eax, std::uint32_t ebx, std::uint32_t ecx, std::uint32_t edx) {
        kvm_cpuid_entry2 entry{};
        entry.function = function;
        entry.eax = eax;
        entry.ebx = ebx;
        entry.ecx = ecx;
        entry.edx = edx;
        table_.push_back(entry);
    }

    void add_name(const char (&name)[49]) {
        for (std::uint32_t n = 0; n < 3; ++n) {
            const char* part = name + 16 * n;
            add(extended_leaf + 2 + n, word(part), word(part + 4), word(part + 8), word(part + 12));
        }
    }

    CpuidTable take() { return std::move(table_); }

private:
    const CpuidTable& supported_;
    Log& log_;
    CpuidTable table_;
};

/// KVM's own leaves, as far as their features have no other state than the machine's layout holds: no asynchronous page
/// faults, no stolen time, no paravirtual end of interrupt.
std::uint32_t kvm_features_of(const CpuidTable& supported) {
    using namespace cpuid;
    const kvm_cpuid_entry2* host = find_cpuid(supported, kvm_leaf + 1);
    constexpr std::uint32_t movable = kvm_clocksource | kvm_nop_io_delay | kvm_clocksource2 | kvm_clocksource_stable;
    return host == nullptr ? 0 : host->eax & movable;
}

CpuidTable make_qemu64(const CpuidTable& supported, Log& log) {
    using namespace cpuid;
    ModelBuilder model(supported, log);
    const std::uint32_t vendor[] = {word("Auth"), word("enti"), word("cAMD")};
    // Family 15, model 107, stepping 1; cache lines of 64 bytes.
    constexpr std::uint32_t signature = 0x0006'0fb1;
    constexpr std::uint32_t cache_line = 8 << 8;
    model.add(0, 0xd, vendor[0], vendor[2], vendor[1]);
    model.add(1, signature, cache_line, model.keep(1, &kvm_cpuid_entry2::ecx, "ECX", sse3 | cx16 | x2apic) | hypervisor,
              model.keep(1, &kvm_cpuid_entry2::edx, "EDX", base_edx));
    const std::uint32_t extended = extended_leaf + 1;
    const std::uint32_t edx = model.keep(1, &kvm_cpuid_entry2::edx, "EDX", base_edx) & amd_alias_edx;
    model.add(extended_leaf, extended_leaf + 8, vendor[0], vendor[2], vendor[1]);
    model.add(extended, signature, 0, model.keep(extended, &kvm_cpuid_entry2::ecx, "ECX", lahf_lm),
              edx | model.keep(extended, &kvm_cpuid_entry2::edx, "EDX", syscall | nx | long_mode));
    model.add_name("godwit virtual CPU (model qemu64)               ");
    model.add(extended_leaf + 8, std::min(physical_address_bits(supported), 40U) | (48U << 8), 0, 0, 0);
    model.add(kvm_leaf, kvm_leaf + 1, word("KVMK"), word("VMKV"), word("M\0\0"));
    model.add(kvm_leaf + 1, kvm_features_of(supported), 0, 0, 0);
    return model.take();
}

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

CpuidTable make_cpuid(CpuModel model, const CpuidTable& supported, Log& log) {
    if (model == CpuModel::qemu64) {
        return make_qemu64(supported, log);
    }
    CpuidTable table = make_host_cpuid(supported);
    if (kvm_cpuid_entry2* features = find_mutable(table, kvm_leaf + 1)) {
        features->eax = kvm_features_of(supported);
        features->edx = 0;
    }
    return table;
}

void add_topology(CpuidTable& table, std::uint32_t index, std::uint32_t count) {
    const auto core_bits = static_cast<std::uint32_t>(std::bit_width(count - 1));
    if (kvm_cpuid_entry2* features = find_mutable(table, 1)) {
        // Bits 23-16 of EBX count the ids of the package, bits 31-24 are the APIC id.
        features->ebx = (features->ebx & 0xffff) | (std::min(1U << core_bits, 255U) << 16) | (index << 24);
        features->edx = count > 1 ? features->edx | cpuid::htt : features->edx & ~cpuid::htt;
    }
    if (kvm_cpuid_entry2* extended = find_mutable(table, extended_leaf + 1)) {
        extended->ecx = count > 1 ? extended->ecx | cpuid::cmp_legacy : extended->ecx & ~cpuid::cmp_legacy;
    }
    if (kvm_cpuid_entry2* sizes = find_mutable(table, extended_leaf + 8)) {
        sizes->ecx = ((count - 1) & 0xff) | (core_bits << 12);
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
