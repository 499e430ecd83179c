#pragma once

#include <cstdint>
#include <vector>

#include "godwit/error.h"
#include "godwit/log.h"

namespace godwit {

/// What the host's KVM offers beyond the necessary. Where something lacks, a log line has said so and what follows.
struct KvmFeatures {
    bool tss_address = false;      ///< takes an address for the three pages that Intel's real mode needs
    bool identity_map = false;     ///< takes an address for the page table that goes with it
    bool irq_routing = false;      ///< interrupt lines can be led to the IOAPIC only
    bool xcrs = false;             ///< XCR0 can be read and written
    bool debug_registers = false;  ///< the debug registers can be read and written
    bool clock = false;            ///< the guest's clock (kvmclock) can be read and set
    bool clock_stable = false;     ///< kvmclock follows a stable TSC
    bool kvmclock_ctrl = false;    ///< a guest can be told that it was stopped
    bool tsc_khz = false;          ///< the rate of the guest's TSC can be read
    bool tsc_control = false;      ///< and set
    bool readonly_memory = false;  ///< memory can be such that the guest's writes are told and not carried out
    bool smm = false;              ///< system management mode
    bool manual_dirty_clear = false;
    bool dirty_initially_set = false;
    std::uint64_t mcg_cap = 0;  ///< machine check banks and abilities that guests get; 0 for none
    std::uint32_t max_vcpus = 0;
    std::uint32_t max_slots = 0;
    /// Model-specific registers that can be saved and loaded; see cpu_msrs.h.
    std::vector<std::uint32_t> msrs;
};

/// Asks an open /dev/kvm. Errors: `unsupported` when something lacks that nothing works without.
Result<KvmFeatures> detect_kvm_features(int kvm_fd, Log& log);

}  // namespace godwit
