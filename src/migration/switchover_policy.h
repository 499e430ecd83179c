#pragma once

#include <cstdint>
#include <optional>

#include "godwit/clock.h"
#include "godwit/parameters.h"
#include "godwit/trace_events.h"

namespace godwit {

/// What is known at the end of a pass.
struct SwitchoverInputs {
    SwitchoverPolicy policy = SwitchoverPolicy::minimum;
    /// What the rest of memory is expected to take in the stream.
    std::uint64_t remaining_bytes = 0;
    /// What is sent after memory.
    std::uint64_t device_bytes = 0;
    double bandwidth_bytes_per_s = 0;
    /// What the rest takes at least, whatever the bandwidth: for deltas, the time to find them.
    Duration least_transfer_time{};
    /// Stopping the guest, the messages to and fro, starting it there.
    Duration fixed_cost{};
    /// Memory dirtied per second during the last pass, likewise.
    double dirty_bytes_per_s = 0;
    Duration downtime_limit{};
    /// A switchover that takes longer is given up.
    Duration switchover_timeout = Duration::max();
    /// Since the first page.
    Duration elapsed{};
    /// Since the end of the first pass at which the rest fitted into the limit; absent before.
    std::optional<Duration> since_first_fit = {};
};

struct SwitchoverDecision {
    /// The rest can be sent within the limit.
    bool fits = false;
    /// Stop the guest now.
    bool switch_over = false;
    /// Downtime if the guest were stopped now; `Duration::max()` while the bandwidth is unknown.
    Duration expected_downtime{};
    /// The part of it for which data is sent.
    Duration transfer_time{};
};

/// How long that many bytes take at that rate; `Duration::max()` if the rate is 0.
Duration transfer_time(std::uint64_t bytes, double bytes_per_s);

/// Decides at the end of a pass whether the guest is stopped now or another pass is worth its while. The rest must fit
/// the limit, and half of the switchover's time-out. The policy `first_fit` stops the guest then. `minimum` waits until
/// one more pass would save less than an eighth of the time for the data or less than 1 ms, or until max(100 ms, a
/// tenth of the elapsed time) has been spent on trying. The fixed cost takes half of the limit at most, so that a limit
/// below what the way to the destination costs anyway still lets a migration end. Pure: no clock, no I/O.
SwitchoverDecision decide_switchover(const SwitchoverInputs& inputs);

/// Both together, for listeners.
SwitchoverReport report_of(const SwitchoverInputs& inputs, const SwitchoverDecision& decision);

}  // namespace godwit
