#pragma once

#include <array>
#include <cstdint>

#include "godwit/error.h"
#include "godwit/vmstate.h"
#include "machine/kvm_api.h"
#include "machine/kvm_vm.h"

namespace godwit {

/// A CPU's local APIC as QEMU's section "apic", version 3, lays it out. KVM has it as a page of registers.
struct ApicState {
    std::uint32_t base = 0;  ///< the APIC base MSR
    std::uint8_t id = 0;
    std::uint8_t arbitration_id = 0;
    std::uint8_t task_priority = 0;
    std::uint32_t spurious_vector = 0xff;
    std::uint8_t logical_destination = 0;
    std::uint8_t destination_mode = 0xf;
    std::array<std::uint32_t, 8> in_service{};
    std::array<std::uint32_t, 8> trigger_mode{};
    std::array<std::uint32_t, 8> requested{};
    /// Timer, thermal, performance, LINT0, LINT1, error.
    std::array<std::uint32_t, 6> local_vectors{};
    std::uint32_t error_status = 0;
    std::array<std::uint32_t, 2> interrupt_command{};
    std::uint32_t divide_configuration = 0;
    /// Logarithm of the divider.
    std::int32_t count_shift = 0;
    std::uint32_t initial_count = 0;
    /// Moments in ns on a clock that stands still while the machine moves. Only the distance of the two is used: the
    /// time that the timer has left, 0 when it has run off.
    std::int64_t load_time = 0;
    std::int64_t next_time = 0;
    /// `next_time`, or -1 when the timer does not run.
    std::int64_t timer_expiry = -1;
};

VmState apic_state_layout();

void from_kvm_lapic(const kvm_lapic_state& page, ApicState& state);
kvm_lapic_state to_kvm_lapic(const ApicState& state);

/// The CPU is paused; its registers have been saved before. Errors: `device_state`.
Status save_apic(const KvmVcpu& vcpu, ApicState& state);
/// Checks the state and gives it to the CPU, whose registers have been loaded before. A one-shot timer that has run off
/// fires at once, since KVM does not tell whether its interrupt has been delivered: a guest may see a second one, never
/// none. Errors: `device_state`.
Status load_apic(const KvmVcpu& vcpu, const ApicState& state);

}  // namespace godwit
