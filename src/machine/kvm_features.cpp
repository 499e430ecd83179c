#include "machine/kvm_features.h"

#include <fmt/format.h>

#include <algorithm>

#include "machine/kvm_api.h"
#include "machine/kvm_ioctl.h"

namespace godwit {

namespace {

struct NecessaryCapability {
    unsigned long number;
    const char* name;
};

constexpr NecessaryCapability necessary_capabilities[] = {
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},       {KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
    {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},           {KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
    {KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},       {KVM_CAP_XSAVE, "KVM_CAP_XSAVE"},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
};

struct OptionalCapability {
    unsigned long number;
    const char* name;
    bool KvmFeatures::*member;
    const char* consequence;
};

constexpr OptionalCapability optional_capabilities[] = {
    {KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR", &KvmFeatures::tss_address, "real mode may not work"},
    {KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR", &KvmFeatures::identity_map,
     "its page stays at KVM's own address"},
    {KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING", &KvmFeatures::irq_routing,
     "interrupt lines below 16 also reach the old interrupt controller"},
    {KVM_CAP_XCRS, "KVM_CAP_XCRS", &KvmFeatures::xcrs, "guests have x87 and SSE state only"},
    {KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS", &KvmFeatures::debug_registers, "debug registers do not move"},
    {KVM_CAP_ADJUST_CLOCK, "KVM_CAP_ADJUST_CLOCK", &KvmFeatures::clock, "the guest's clock does not move"},
    {KVM_CAP_KVMCLOCK_CTRL, "KVM_CAP_KVMCLOCK_CTRL", &KvmFeatures::kvmclock_ctrl,
     "guests are not told that they were stopped"},
    {KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM", &KvmFeatures::readonly_memory,
     "a migration takes longer to begin and to end"},
    {KVM_CAP_GET_TSC_KHZ, "KVM_CAP_GET_TSC_KHZ", &KvmFeatures::tsc_khz,
     "a different TSC rate on the other side goes unnoticed"},
    {KVM_CAP_TSC_CONTROL, "KVM_CAP_TSC_CONTROL", &KvmFeatures::tsc_control, "guests have the host's TSC rate"},
};

std::uint32_t check(int kvm_fd, unsigned long capability) {
    const int value = try_kvm_ioctl(kvm_fd, GODWIT_KVM(KVM_CHECK_EXTENSION), capability);
    return value > 0 ? static_cast<std::uint32_t>(value) : 0;
}

void lacks(Log& log, const char* name, const char* consequence) {
    log.write(LogLevel::info, fmt::format("KVM here lacks {}: {}", name, consequence));
}

/// Ten banks, as QEMU gives them: that is what its layout has room for.
void detect_machine_check(int kvm_fd, KvmFeatures& features, Log& log) {
    constexpr std::uint32_t wanted_banks = 10;
    // Intel SDM, IA32_MCG_CAP: MCG_CTL_P and MCG_SER_P.
    constexpr std::uint64_t wanted_abilities = (std::uint64_t{1} << 8) | (std::uint64_t{1} << 24);
    const std::uint32_t banks = std::min(check(kvm_fd, KVM_CAP_MCE), wanted_banks);
    std::uint64_t abilities = 0;
    if (banks == 0 || try_kvm_ioctl(kvm_fd, GODWIT_KVM(KVM_X86_GET_MCE_CAP_SUPPORTED), &abilities) < 0) {
        lacks(log, "KVM_CAP_MCE", "guests have no machine check banks");
        return;
    }
    features.mcg_cap = banks | (abilities & wanted_abilities);
}

void detect_dirty_log(int kvm_fd, KvmFeatures& features, Log& log) {
    const std::uint32_t modes = check(kvm_fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
    features.manual_dirty_clear = (modes & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE) != 0;
    features.dirty_initially_set = features.manual_dirty_clear && (modes & KVM_DIRTY_LOG_INITIALLY_SET) != 0;
    if (!features.manual_dirty_clear) {
        lacks(log, "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2", "each collection of written pages protects all of them again");
    } else if (!features.dirty_initially_set) {
        lacks(log, "KVM_DIRTY_LOG_INITIALLY_SET", "the begin of a migration protects all pages at once");
    }
}

}  // namespace

Result<KvmFeatures> detect_kvm_features(int kvm_fd, Log& log) {
    for (const NecessaryCapability& capability : necessary_capabilities) {
        if (check(kvm_fd, capability.number) == 0) {
            return fail(ErrorCode::unsupported, fmt::format("KVM here lacks {}", capability.name),
                        "use a newer kernel on this host");
        }
    }
    KvmFeatures features;
    for (const OptionalCapability& capability : optional_capabilities) {
        features.*capability.member = check(kvm_fd, capability.number) != 0;
        if (!(features.*capability.member)) {
            lacks(log, capability.name, capability.consequence);
        }
    }
    features.clock_stable = (check(kvm_fd, KVM_CAP_ADJUST_CLOCK) & KVM_CLOCK_TSC_STABLE) != 0;
    features.smm = check(kvm_fd, KVM_CAP_X86_SMM) != 0;
    features.max_vcpus = std::max(check(kvm_fd, KVM_CAP_MAX_VCPUS), check(kvm_fd, KVM_CAP_NR_VCPUS));
    features.max_slots = std::max(check(kvm_fd, KVM_CAP_NR_MEMSLOTS), 1U);
    detect_machine_check(kvm_fd, features, log);
    detect_dirty_log(kvm_fd, features, log);
    return features;
}

}  // namespace godwit
