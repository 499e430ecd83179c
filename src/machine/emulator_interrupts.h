#pragma once

#include "godwit/error.h"
#include "godwit/units.h"
#include "machine/apic_state.h"
#include "machine/ioapic_state.h"

namespace godwit {

// The interrupt controllers of an emulated machine only carry their state along. So nothing may be able to interrupt,
// whether or not the CPU accepts interrupts at this moment: a guest that masks them for a while waits for them later.

/// Errors: `device_state` when the controller has some on the way or lets some in.
Status check_apic_still(const ApicState& state);
/// The same for the lines of the machine.
Status check_ioapic_still(const IoapicState& state);

/// Whether a controller's registers lie there.
bool is_interrupt_controller(GuestAddress address);

}  // namespace godwit
