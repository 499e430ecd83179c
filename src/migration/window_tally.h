#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "godwit/clock.h"
#include "godwit/statistics.h"
#include "godwit/trace_events.h"

namespace godwit {

/// Adds up what happens within a window of measurement, for listeners. One thread.
class WindowTally {
public:
    void start(Instant now, std::uint64_t bytes, std::uint64_t pages, std::uint64_t disk_bytes = 0) {
        begin_ = now;
        bytes_ = bytes;
        pages_ = pages;
        disk_bytes_ = disk_bytes;
        asleep_ = Duration::zero();
    }
    /// The thread waited for the bandwidth limit.
    void add_sleep(Duration time) { asleep_ += time; }

    /// Takes the totals so far, returns what came since the window before, and begins the next.
    WindowReport close(Instant now, std::uint64_t bytes, std::uint64_t pages, std::uint64_t remaining_bytes,
                       const std::optional<DiskStatistics>& disk = {}) {
        WindowReport report{bytes - bytes_, pages - pages_, remaining_bytes, now - begin_,
                            std::min(asleep_, now - begin_)};
        if (disk) {
            report.disk = DiskWindow{disk->transferred_bytes - disk_bytes_, disk->remaining_bytes};
        }
        start(now, bytes, pages, disk ? disk->transferred_bytes : 0);
        return report;
    }

private:
    Instant begin_{};
    std::uint64_t bytes_ = 0;
    std::uint64_t pages_ = 0;
    std::uint64_t disk_bytes_ = 0;
    Duration asleep_{};
};

}  // namespace godwit
