#pragma once

#include <cstdint>

#include "godwit/error.h"
#include "godwit/vmstate.h"
#include "machine/kvm_vm.h"

namespace godwit {

/// The guest's clock (kvmclock) as QEMU's section "kvmclock", version 1, lays it out.
struct KvmClockState {
    std::uint64_t clock_ns = 0;
    /// The value holds for all CPUs at the moment when it was read.
    bool reliable = false;
};

VmState kvmclock_state_layout();

/// Errors: `device_state`.
Status save_kvmclock(const KvmVm& vm, KvmClockState& state);
/// Sets the clock, which runs on from there, and tells guests that use it that they were stopped. Errors:
/// `device_state`.
Status load_kvmclock(KvmVm& vm, const KvmClockState& state);

}  // namespace godwit
