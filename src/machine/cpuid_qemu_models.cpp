#include "machine/cpuid_qemu_models.h"

#include <fmt/format.h>

#include <cstring>
#include <string_view>

#include "base/assert.h"
#include "machine/cpuid_bits.h"

namespace godwit {

namespace {

using namespace cpuid;

constexpr std::uint32_t extended_leaf = 0x8000'0000;
constexpr std::uint32_t kvm_leaf = 0x4000'0000;
constexpr std::size_t brand_bytes = 48;

struct QemuModel {
    std::string_view name;
    /// Family, model and stepping.
    std::uint32_t signature;
    std::uint32_t last_extended_leaf;
    std::uint32_t edx;
    std::uint32_t ecx;
    std::uint32_t extended_ecx;
    std::string_view brand;
};

constexpr QemuModel qemu64{.name = "qemu64",
                           .signature = 0x0006'0fb1,
                           .last_extended_leaf = extended_leaf + 0xa,
                           .edx = base_edx,
                           .ecx = sse3 | cx16 | x2apic,
                           .extended_ecx = lahf_lm,
                           .brand = "QEMU Virtual CPU version 2.5+"};
constexpr QemuModel kvm64{.name = "kvm64",
                          .signature = 0x0f61,
                          .last_extended_leaf = extended_leaf + 8,
                          .edx = base_edx | vme,
                          .ecx = sse3 | cx16 | x2apic,
                          .extended_ecx = 0,
                          .brand = "Common KVM processor"};

/// Takes from the host what a model wants, one register at a time.
class ModelBuilder {
public:
    ModelBuilder(const QemuModel& model, const CpuidTable& supported, Log& log)
        : model_(model), supported_(supported), log_(log) {}

    std::uint32_t keep(std::uint32_t function, __u32 kvm_cpuid_entry2::*member, const char* name,
                       std::uint32_t wanted) {
        const kvm_cpuid_entry2* host = find_cpuid(supported_, function);
        const std::uint32_t offered = host == nullptr ? 0 : host->*member;
        if ((wanted & ~offered) != 0) {
            log_.write(LogLevel::info, fmt::format("CPU model {}: this host lacks bits {:#010x} of CPUID leaf {:#x} {}",
                                                   model_.name, wanted & ~offered, function, name));
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

    void add_indexed(std::uint32_t function, std::uint32_t index, std::uint32_t eax, std::uint32_t ebx,
                     std::uint32_t ecx, std::uint32_t edx) {
        add(function, eax, ebx, ecx, edx);
        table_.back().index = index;
        table_.back().flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
    }

    void add_brand() {
        char text[brand_bytes] = {};
        std::memcpy(text, model_.brand.data(), model_.brand.size());
        std::uint32_t words[brand_bytes / sizeof(std::uint32_t)];
        std::memcpy(words, text, sizeof words);
        for (std::uint32_t n = 0; n < 3; ++n) {
            const std::uint32_t* part = words + std::size_t{4} * n;
            add(extended_leaf + 2 + n, part[0], part[1], part[2], part[3]);
        }
    }

    CpuidTable take() { return std::move(table_); }

private:
    const QemuModel& model_;
    const CpuidTable& supported_;
    Log& log_;
    CpuidTable table_;
};

/// The caches that QEMU describes in AMD's leaves, whatever the host has: TLBs and first-level caches; second level of
/// 512 KiB, third level of 16 MiB.
void add_caches(ModelBuilder& model) {
    model.add(extended_leaf + 5, 0x01ff'01ff, 0x01ff'01ff, 0x4002'0140, 0x4002'0140);
    model.add(extended_leaf + 6, 0, 0x4200'4200, 0x0200'8140, 0x0080'8140);
}

/// And in Intel's, with another second level.
void add_intel_caches(ModelBuilder& model) {
    model.add(2, 1, 0, 0x4d, 0x002c'307d);
    model.add_indexed(4, 0, 0x121, 0x01c0'003f, 0x3f, 1);
    model.add_indexed(4, 1, 0x122, 0x01c0'003f, 0x3f, 1);
    model.add_indexed(4, 2, 0x143, 0x03c0'003f, 0xfff, 1);
    model.add_indexed(4, 3, 0x163, 0x03c0'003f, 0x3fff, 6);
}

}  // namespace

CpuidTable make_qemu_cpuid(CpuModel kind, const CpuidTable& supported, Log& log) {
    GODWIT_ASSERT(kind != CpuModel::host, "the host's own model is no model of QEMU");
    const QemuModel& model = kind == CpuModel::kvm64 ? kvm64 : qemu64;
    ModelBuilder builder(model, supported, log);
    constexpr std::uint32_t last_leaf = 0xd;
    constexpr std::uint32_t cache_line = 8 << 8;
    // MONITOR is described, though no model has it.
    constexpr std::uint32_t monitor_extensions = 3;
    const kvm_cpuid_entry2* host = find_cpuid(supported, 0);
    const kvm_cpuid_entry2 vendor = host == nullptr ? kvm_cpuid_entry2{} : *host;
    builder.add(0, last_leaf, vendor.ebx, vendor.ecx, vendor.edx);
    const std::uint32_t edx = builder.keep(1, &kvm_cpuid_entry2::edx, "EDX", model.edx);
    builder.add(1, model.signature, cache_line, builder.keep(1, &kvm_cpuid_entry2::ecx, "ECX", model.ecx) | hypervisor,
                edx);
    builder.add(5, 0, 0, monitor_extensions, 0);
    // Nothing, but there: where KVM is nested it may show the outer host's answer for it, and a guest sees the same
    // here.
    builder.add_indexed(7, 0, 0, 0, 0, 0);
    if (!is_amd(vendor)) {
        add_intel_caches(builder);
    }
    constexpr std::uint32_t extended = extended_leaf + 1;
    const std::uint32_t aliases = is_amd(vendor) ? edx & amd_alias_edx : 0;
    builder.add(extended_leaf, model.last_extended_leaf, vendor.ebx, vendor.ecx, vendor.edx);
    builder.add(extended, model.signature, 0, builder.keep(extended, &kvm_cpuid_entry2::ecx, "ECX", model.extended_ecx),
                aliases | builder.keep(extended, &kvm_cpuid_entry2::edx, "EDX", syscall | nx | long_mode));
    builder.add_brand();
    add_caches(builder);
    builder.add(extended_leaf + 8, physical_address_bits(supported) | (48U << 8), 0, 0, 0);
    const kvm_cpuid_entry2* kvm = find_cpuid(supported, kvm_leaf);
    if (kvm != nullptr) {
        builder.add(kvm_leaf, kvm_leaf + 1, kvm->ebx, kvm->ecx, kvm->edx);
        builder.add(kvm_leaf + 1, movable_kvm_features(supported) | kvm_msi_ext_dest_id, 0, 0, 0);
    }
    return builder.take();
}

}  // namespace godwit
