#pragma once

#include "machine/guest_buses.h"
#include "machine/kvm_vm.h"

namespace godwit {

/// Carries out the exit that `vcpu.shared_page()` holds. The vCPU's thread.
ExitOutcome handle_vcpu_exit(KvmVcpu& vcpu, const GuestBuses& buses);

}  // namespace godwit
