#pragma once

#include "machine/kvm_cpuid.h"

namespace godwit {

/// The CPU model "host": what KVM offers on this host, without features whose state the layout of a CPU's state has no
/// place for (AVX-512, protection keys, TSC adjustment and deadline, speculation control, performance counters, nested
/// virtualisation and the like), and without what describes the host's own caches and cores.
CpuidTable make_host_cpuid(const CpuidTable& supported);

}  // namespace godwit
