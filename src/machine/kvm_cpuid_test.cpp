#include "machine/kvm_cpuid.h"

#include <gtest/gtest.h>

#include "machine/cpuid_bits.h"
#include "machine/kvm_test_machine.h"

namespace godwit {
namespace {

constexpr std::uint32_t everything = 0xffff'ffff;

/// A host that has every feature there is.
CpuidTable rich_host() {
    CpuidTable table;
    const auto add = [&table](std::uint32_t function, std::uint32_t index, std::uint32_t eax, bool indexed) {
        kvm_cpuid_entry2 entry{};
        entry.function = function;
        entry.index = index;
        entry.flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
        entry.eax = eax;
        entry.ebx = entry.ecx = entry.edx = everything;
        table.push_back(entry);
    };
    add(0, 0, 0x23, false);
    add(1, 0, 0x000a'0671, false);
    add(4, 0, 1, true);
    for (const std::uint32_t index : {0U, 1U, 2U}) {
        add(7, index, index == 0 ? 2 : everything, true);
    }
    add(0xa, 0, everything, false);
    for (std::uint32_t index = 0; index < 20; ++index) {
        add(0xd, index, index <= 1 ? everything : 0x100, true);
    }
    add(0x14, 0, 1, true);
    add(0x4000'0000, 0, 0x4000'0010, false);
    add(0x4000'0001, 0, everything, false);
    add(0x8000'0000, 0, 0x8000'0021, false);
    add(0x8000'0001, 0, 0x000a'0671, false);
    add(0x8000'0008, 0, 0x3934, false);
    add(0x8000'000a, 0, 1, false);
    return table;
}

TEST(Cpuid, QemusModelsAreTheSameOnDifferentHosts) {
    testing::KeptLog log;
    CpuidTable newer = rich_host();
    CpuidTable older = rich_host();
    for (kvm_cpuid_entry2& entry : older) {
        if (entry.function == 7 || entry.function == 0xd) {
            entry.eax = entry.ebx = entry.ecx = entry.edx = 0;
        }
        if (entry.function == 1) {
            entry.eax = 0x6f0;
            entry.ecx = cpuid::sse3 | cpuid::cx16 | cpuid::x2apic;
        }
    }
    for (const CpuModel model : {CpuModel::qemu64, CpuModel::kvm64}) {
        const CpuidTable first = make_cpuid(model, newer, log);
        const CpuidTable second = make_cpuid(model, older, log);
        ASSERT_EQ(first.size(), second.size());
        for (std::size_t n = 0; n < first.size(); ++n) {
            EXPECT_EQ(std::memcmp(&first[n], &second[n], sizeof first[n]), 0) << std::hex << first[n].function;
        }
    }
    EXPECT_EQ(log.count("lacks"), 0U);
}

TEST(Cpuid, Qemu64LeavesOutWhatTheHostLacksAndSaysSo) {
    testing::KeptLog log;
    CpuidTable host = rich_host();
    for (kvm_cpuid_entry2& entry : host) {
        if (entry.function == 1) {
            entry.ecx = cpuid::cx16;
        }
    }
    const CpuidTable table = make_cpuid(CpuModel::qemu64, host, log);
    const std::uint32_t ecx = find_cpuid(table, 1)->ecx;
    EXPECT_EQ(ecx, cpuid::cx16 | cpuid::hypervisor);
    EXPECT_EQ(log.count("CPUID leaf 0x1 ECX"), 1U);
}

/// What guests of QEMU 7.2 have reported under KVM, but for features that the host adds to their leaves there.
struct Reported {
    CpuModel model;
    const char* vendor;
    std::uint32_t signature;
    std::uint32_t extended_ecx;
    std::uint32_t extended_edx;
    std::uint32_t last_extended_leaf;
    std::uint32_t edx;
};
constexpr Reported reported[] = {
    {CpuModel::qemu64, "AuthcAMDenti", 0x60fb1, 1, 0x2193'fbfd, 0x8000'000a, 0x078b'fbfd},
    {CpuModel::kvm64, "AuthcAMDenti", 0xf61, 0, 0x2193'fbff, 0x8000'0008, 0x078b'fbff},
    {CpuModel::qemu64, "GenuntelineI", 0x60fb1, 1, 0x2010'0800, 0x8000'000a, 0x078b'fbfd},
    {CpuModel::kvm64, "GenuntelineI", 0xf61, 0, 0x2010'0800, 0x8000'0008, 0x078b'fbff},
};

TEST(Cpuid, QemusModelsAnswerAsGuestsOfQemuHaveReported) {
    testing::KeptLog log;
    for (const Reported& expected : reported) {
        CpuidTable host = rich_host();
        std::memcpy(&host.front().ebx, expected.vendor, 12);
        const CpuidTable table = make_cpuid(expected.model, host, log);
        const bool amd = is_amd(host.front());
        EXPECT_EQ(find_cpuid(table, 0)->eax, 0xdU);
        EXPECT_EQ(std::memcmp(&find_cpuid(table, 0)->ebx, expected.vendor, 12), 0);
        EXPECT_EQ(find_cpuid(table, 1)->eax, expected.signature);
        EXPECT_EQ(find_cpuid(table, 1)->edx, expected.edx);
        // SSE3, CX16, x2APIC, hypervisor.
        EXPECT_EQ(find_cpuid(table, 1)->ecx, 0x8020'2001U);
        EXPECT_EQ(find_cpuid(table, 7)->ebx, 0U);
        EXPECT_EQ(find_cpuid(table, 0x8000'0000)->eax, expected.last_extended_leaf);
        EXPECT_EQ(find_cpuid(table, 0x8000'0001)->ecx, expected.extended_ecx);
        EXPECT_EQ(find_cpuid(table, 0x8000'0001)->edx, expected.extended_edx);
        EXPECT_EQ(find_cpuid(table, 0x8000'0008)->eax, 0x3034U);
        EXPECT_EQ(find_cpuid(table, 4, 3) != nullptr, !amd);
    }
}

TEST(Cpuid, CoresAreCountedAsQemuCountsThem) {
    testing::KeptLog log;
    CpuidTable host = rich_host();
    std::memcpy(&host.front().ebx, "GenuntelineI", 12);
    CpuidTable table = make_cpuid(CpuModel::kvm64, host, log);
    add_topology(table, 1, 3);
    EXPECT_EQ(find_cpuid(table, 1)->ebx, 0x0103'0800U);
    EXPECT_EQ(find_cpuid(table, 4, 0)->eax, 0x0800'0121U);
    EXPECT_EQ(find_cpuid(table, 4, 3)->eax, 0x0800'c163U);
    EXPECT_EQ(find_cpuid(table, 0x8000'0001)->ecx, 0U);
    EXPECT_EQ(find_cpuid(table, 0x8000'0008)->ecx, 0x2002U);
}

TEST(Cpuid, HostHidesWhatCannotMove) {
    testing::KeptLog log;
    const CpuidTable table = make_cpuid(CpuModel::host, rich_host(), log);
    const kvm_cpuid_entry2* leaf1 = find_cpuid(table, 1);
    EXPECT_EQ(leaf1->ecx & (cpuid::vmx | cpuid::tsc_deadline | cpuid::monitor | cpuid::pdcm), 0U);
    EXPECT_NE(leaf1->ecx & cpuid::avx, 0U);
    const kvm_cpuid_entry2* leaf7 = find_cpuid(table, 7);
    EXPECT_EQ(leaf7->eax, 1U);
    // TSC adjustment, TSX, MPX, AVX-512 Foundation, processor trace.
    EXPECT_EQ(leaf7->ebx &
                  (cpuid::bit(1) | cpuid::bit(4) | cpuid::bit(11) | cpuid::bit(14) | cpuid::bit(16) | cpuid::bit(25)),
              0U);
    EXPECT_EQ(leaf7->ecx & cpuid::bit(3), 0U) << "protection keys";
    EXPECT_EQ(leaf7->edx & (cpuid::bit(24) | cpuid::bit(26)), 0U) << "AMX, speculation control";
    EXPECT_EQ(find_cpuid(table, 0xd, 0)->eax, cpuid::movable_states);
    EXPECT_EQ(find_cpuid(table, 0xd, 0)->ecx, 832U);
    EXPECT_EQ(find_cpuid(table, 0xd, 1)->eax & cpuid::bit(3), 0U) << "XSAVES";
    EXPECT_NE(find_cpuid(table, 0xd, 2), nullptr);
    EXPECT_EQ(find_cpuid(table, 0xd, 5), nullptr);
    EXPECT_EQ(find_cpuid(table, 0xa), nullptr);
    EXPECT_EQ(find_cpuid(table, 0x8000'000a), nullptr);
    EXPECT_EQ(find_cpuid(table, 0x8000'0001)->ecx & cpuid::bit(2), 0U) << "SVM";
    EXPECT_EQ(find_cpuid(table, 0)->eax, 0xdU);
}

TEST(Cpuid, KvmLeavesOfferWhatHasAPlaceInTheState) {
    testing::KeptLog log;
    for (const CpuModel model : {CpuModel::qemu64, CpuModel::host}) {
        const CpuidTable table = make_cpuid(model, rich_host(), log);
        EXPECT_EQ(find_cpuid(table, 0x4000'0000)->eax, 0x4000'0001U);
        EXPECT_EQ(find_cpuid(table, 0x4000'0001)->eax & ~cpuid::kvm_msi_ext_dest_id, 0x0100'007bU);
    }
}

TEST(Cpuid, EachCpuHasItsApicId) {
    testing::KeptLog log;
    for (std::uint32_t index = 0; index < 3; ++index) {
        CpuidTable table = make_cpuid(CpuModel::qemu64, rich_host(), log);
        add_topology(table, index, 3);
        EXPECT_EQ(find_cpuid(table, 1)->ebx, (index << 24) | (3U << 16) | 0x800);
        EXPECT_NE(find_cpuid(table, 1)->edx & cpuid::htt, 0U);
        EXPECT_EQ(find_cpuid(table, 0xb, 1)->eax, 2U);
        EXPECT_EQ(find_cpuid(table, 0xb, 1)->ebx, 3U);
        EXPECT_EQ(find_cpuid(table, 0xb, 1)->edx, index);
        EXPECT_EQ(find_cpuid(table, 0x8000'0008)->ecx, 2U | (2U << 12));
    }
    CpuidTable single = make_cpuid(CpuModel::host, rich_host(), log);
    add_topology(single, 0, 1);
    EXPECT_EQ(find_cpuid(single, 1)->edx & cpuid::htt, 0U);
}

}  // namespace
}  // namespace godwit
