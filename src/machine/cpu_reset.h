#pragma once

#include "godwit/error.h"
#include "godwit/units.h"
#include "machine/vcpu.h"

namespace godwit {

/// Puts a paused CPU and its APIC into the state after power-on: CPU 0 stands at the reset vector, the others wait for
/// a start message. Also after a guest's reset. Errors: `vcpu`.
Status reset_vcpu(Vcpu& vcpu);

/// Lets a CPU that was reset begin at `entry` as a PVH kernel expects it: 32-bit protected mode without paging, flat
/// segments, EBX pointing to `start_info`. There is no firmware, so memory is also made cacheable here. Errors: `vcpu`,
/// `invalid_argument` when an address has more than 32 bits.
Status set_pvh_entry(Vcpu& vcpu, GuestAddress entry, GuestAddress start_info);

}  // namespace godwit
