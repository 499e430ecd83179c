#pragma once

#include "godwit/clock.h"
#include "godwit/error.h"

namespace godwit {

/// What this host's memory and one of its processors do for a migration. Rates in bytes per second.
struct HostSpeed {
    double read = 0;
    double copy = 0;
    /// Of pages that are zero.
    double find_zeros = 0;
    /// Deltas of pages of which 64 bytes have changed.
    double encode = 0;
    double decode = 0;
    /// All dirty pages among those of 1 TiB, 0.1 % of them dirty.
    Duration find_dirty{};
};

/// Takes some 200 MiB and a second or two. Errors: `memory`.
Result<HostSpeed> measure_host(const Clock& clock);

}  // namespace godwit
