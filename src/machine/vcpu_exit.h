#pragma once

#include <optional>

#include "machine/guest_buses.h"
#include "machine/guest_request.h"
#include "machine/kvm_vm.h"

namespace godwit {

/// What follows from a return of KVM_RUN.
struct ExitOutcome {
    /// KVM finishes the instruction (an I/O access) only when KVM_RUN is entered again: until then the registers are
    /// not final.
    bool needs_completion = false;
    /// The CPU must not go on before this has been carried out.
    std::optional<GuestRequest> request;
};

/// Carries out the exit that `vcpu.run()` holds. The vCPU's thread.
ExitOutcome handle_vcpu_exit(KvmVcpu& vcpu, const GuestBuses& buses);

}  // namespace godwit
