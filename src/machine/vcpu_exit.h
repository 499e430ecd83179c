#pragma once

#include "machine/guest_buses.h"
#include "machine/kvm_vm.h"

namespace godwit {

/// Why a page of guest memory may be missing.
inline constexpr const char* lost_memory =
    "the file system of the memory file is full, the file was cut short, or the host has no memory left";

/// Carries out the exit that `vcpu.shared_page()` holds. The vCPU's thread.
ExitOutcome handle_vcpu_exit(KvmVcpu& vcpu, const GuestBuses& buses);

}  // namespace godwit
