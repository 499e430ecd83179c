#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/trace.h"

namespace godwit {

/// What one attempt came to.
struct TraceSummary {
    /// The state it ended in; empty: the trace stops before its end.
    std::string outcome;
    Duration total{};
    std::uint64_t passes = 0;
    double bytes = 0;
    /// Of these, the disks' records; absent where no disks moved.
    std::optional<double> disk_bytes = {};
    double asleep_s = 0;
    double measured_s = 0;  ///< the windows' lengths added up
    std::uint64_t most_throttle_percent = 0;
    /// The decision to stop the guest, if it was taken.
    std::optional<SwitchoverReport> decision = {};
    std::optional<Duration> downtime = {};
    /// Positions of the guest's stop and of its start at the other side; for drawings.
    std::optional<Duration> stopped_at = {};
    std::optional<Duration> running_at = {};
};

TraceSummary summarize(const TraceAttempt& attempt);

/// Lines for a person; printable.
std::vector<std::string> summary_lines(const TraceAttempt& attempt);

/// "1.234 s", "12.34 ms", "45.6 us".
std::string format_time(Duration time);
/// "12.5 MiB/s"
std::string format_rate(double bytes_per_s);

}  // namespace godwit
