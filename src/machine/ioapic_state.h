#pragma once

#include <array>
#include <cstdint>

#include "godwit/error.h"
#include "godwit/vmstate.h"
#include "machine/kvm_vm.h"

namespace godwit {

/// The IOAPIC as QEMU's section "ioapic", version 3, lays it out.
struct IoapicState {
    std::uint8_t id = 0;
    std::uint8_t selected_register = 0;
    std::uint32_t requested = 0;
    std::array<std::uint64_t, 24> redirections{};
};

VmState ioapic_state_layout();

/// CPUs are paused. Errors: `device_state`.
Status save_ioapic(const KvmVm& vm, IoapicState& state);
/// Errors: `device_state`.
Status load_ioapic(const KvmVm& vm, const IoapicState& state);

}  // namespace godwit
