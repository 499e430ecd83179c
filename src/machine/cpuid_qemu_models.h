#pragma once

#include "godwit/log.h"
#include "machine/cpu_model.h"
#include "machine/kvm_cpuid.h"

namespace godwit {

/// The answers of QEMU's CPU models that a guest under KVM has there, as far as the host has their features; the rest
/// is left out with a log line. The vendor is the host's, as with QEMU, since SYSENTER and SYSCALL differ between
/// vendors. Found by having a guest of QEMU 7.2 report CPUID. `model` is not `CpuModel::host`. Without topology.
CpuidTable make_qemu_cpuid(CpuModel model, const CpuidTable& supported, Log& log);

}  // namespace godwit
