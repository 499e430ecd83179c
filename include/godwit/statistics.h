#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "godwit/clock.h"
#include "godwit/direct_pages.h"
#include "godwit/error.h"
#include "godwit/migration_state.h"

namespace godwit {

enum class ConvergenceVerdict {
    unknown,     ///< no pass has ended yet
    converging,  ///< what remains after a pass still becomes less
    stalled,     ///< it does not any more: the migration will not end unless something changes
};
std::string_view to_string(ConvergenceVerdict verdict);

/// Whether a migration comes to its end.
struct Convergence {
    ConvergenceVerdict verdict = ConvergenceVerdict::unknown;
    /// The smallest rest at the end of a pass so far.
    std::uint64_t smallest_remaining_bytes = 0;
    /// For a stalled one: why, and what would help. A sentence for a person.
    std::string advice = {};
};

/// What the capability `xbzrle` did. A destination counts pages and bytes only.
struct XbzrleStatistics {
    std::uint64_t cache_bytes = 0;      ///< size of the cache
    std::uint64_t bytes = 0;            ///< sent or received as deltas, their records' heads included
    std::uint64_t pages = 0;            ///< sent or received as deltas
    std::uint64_t unchanged_pages = 0;  ///< written by the guest, but equal to what was sent before
    std::uint64_t cache_misses = 0;     ///< pages of which the last version was not in the cache
    std::uint64_t overflows = 0;        ///< pages of which the delta would have been longer than the page
    double cache_miss_rate = 0;         ///< misses per page sent, over the last pass
    double encoding_rate = 0;           ///< bytes of the pages sent as deltas over bytes of the deltas, last pass
};

/// What the capability `block` did. A destination counts what has come and knows of no rest.
struct DiskStatistics {
    std::uint64_t transferred_bytes = 0;  ///< records of disks that were sent or received, their heads included
    std::uint64_t remaining_bytes = 0;    ///< at most so much of the disks is still to be sent
    std::uint64_t total_bytes = 0;        ///< sizes of the disks that move
    std::uint64_t data_chunks = 0;        ///< sent or received with their data
    std::uint64_t zero_chunks = 0;        ///< sent or received as zeros
};

/// A snapshot of a migration's figures. `docs/statistics.md` defines each.
struct MigrationStatistics {
    MigrationState state = MigrationState::none;
    /// From entry into `setup` until now or until the end.
    Duration total_time{};
    /// From entry into `setup` until `active`; present from `active` on.
    std::optional<Duration> setup_time;
    /// Source: from the guest's stop until the destination said that it runs (or until the last byte was acknowledged,
    /// with a peer that says nothing). Destination: from the arrival of the first byte after the source's stop,
    /// unknown: absent.
    std::optional<Duration> downtime;
    /// While active: the predicted downtime if the switchover came now. The limit until the bandwidth is known.
    std::optional<Duration> expected_downtime;
    /// What was predicted when the guest was stopped, to be compared with `downtime`.
    std::optional<Duration> predicted_downtime = {};
    /// The switchover waits, or has waited, for the operator's word; that time is part of the downtime.
    bool paused_before_switchover = false;
    /// The moments behind `downtime` on this side's clock: the source's stop, the destination's start.
    std::optional<Instant> stopped_at;
    std::optional<Instant> running_at;

    /// Everything written to (source) or read from (destination) the channel, and what goes past its stream.
    std::uint64_t transferred_bytes = 0;
    std::uint64_t remaining_bytes = 0;    ///< dirty memory that has not been sent
    std::uint64_t total_bytes = 0;        ///< size of all RAM blocks
    std::uint64_t zero_pages = 0;         ///< sent or received as zero records
    std::uint64_t normal_pages = 0;       ///< sent or received as whole pages
    std::uint64_t skipped_pages = 0;      ///< zeros that the destination's fresh memory has anyway; not sent
    std::uint64_t dirty_pages_per_s = 0;  ///< over the last period of at least a second (or last pass)
    std::uint64_t dirty_sync_count = 0;   ///< times the dirty bitmap was collected
    std::uint64_t passes = 0;             ///< passes begun, the final one with the stopped guest included
    std::uint64_t pages_per_s = 0;        ///< pages sent per second, last window
    double megabits_per_s = 0.0;          ///< what the channel took while something was sent; overall once completed
    std::uint64_t bytes_per_s = 0;        ///< written per second, the time asleep for a limit included; likewise
    std::uint64_t precopy_bytes = 0;      ///< written while the guest ran
    std::uint64_t downtime_bytes = 0;     ///< written while the guest was stopped

    /// Percent of the time in which the virtual CPUs do not run; while auto-converge slows them down.
    std::optional<unsigned> cpu_throttle_percent = {};
    Convergence convergence = {};
    /// Where deltas are sent, or were received.
    std::optional<XbzrleStatistics> xbzrle = {};
    /// Where disks move.
    std::optional<DiskStatistics> disk = {};
    /// Where pages are written straight into the destination's memory.
    std::optional<DirectPageFigures> direct = {};

    /// Why it failed or was cancelled.
    std::optional<Error> error;
    /// A name for the peer ("godwit 0.1", "QEMU or compatible").
    std::string peer;
};

}  // namespace godwit
