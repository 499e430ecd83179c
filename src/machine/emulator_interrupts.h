#pragma once

#include "godwit/error.h"
#include "godwit/units.h"
#include "machine/apic_state.h"
#include "machine/ioapic_state.h"

namespace godwit {

// The interrupt controllers of an emulated machine only carry their state along. So nothing may be about to interrupt.

/// Errors: `device_state` for a CPU that accepts interrupts, when the controller has some on the way or lets some in.
Status check_apic_still(const ApicState& state, bool accepts_interrupts);
/// The same for the lines of the machine.
Status check_ioapic_still(const IoapicState& state, bool accepts_interrupts);

/// Whether a controller's registers lie there.
bool is_interrupt_controller(GuestAddress address);

}  // namespace godwit
