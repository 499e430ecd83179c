#pragma once

#include <cstdint>

#include "godwit/parameters.h"

namespace godwit {

/// What happened since the last decision.
struct ThrottlePeriod {
    std::uint64_t dirtied_bytes = 0;      ///< memory that has to be sent again
    std::uint64_t transferred_bytes = 0;  ///< written to the channel
};

/// Auto-converge: decides how much the guest's virtual CPUs are slowed down, when the guest writes memory faster than
/// it can be sent. Raises only. Pure; one object for each migration.
///
/// As QEMU's: a period counts as too fast when more than `throttle_trigger_threshold` percent of what was transferred
/// has been dirtied. Every second such period throttling begins, at `cpu_throttle_initial` percent, or rises by
/// `cpu_throttle_increment`, to at most `max_cpu_throttle`. With `cpu_throttle_tailslow` the last steps are smaller.
class ThrottlePolicy {
public:
    /// Percent of the time in which the virtual CPUs do not run, 0 to 99.
    unsigned percent() const { return percent_; }
    /// To be called after every period; returns the new percentage.
    unsigned decide(const MigrationParameters& parameters, const ThrottlePeriod& period);

private:
    unsigned percent_ = 0;
    unsigned fast_periods_ = 0;
};

}  // namespace godwit
