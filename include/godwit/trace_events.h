#pragma once

#include <cstdint>
#include <optional>

#include "godwit/clock.h"

namespace godwit {

/// The written pages have been collected, mostly at the end of a pass.
struct SyncReport {
    std::uint64_t dirtied_pages = 0;    ///< found written by this collection
    std::uint64_t remaining_bytes = 0;  ///< what is to be sent after it
    Duration period{};                  ///< since the collection before, or since the first page
};

/// The disks' part of a window of measurement.
struct DiskWindow {
    std::uint64_t bytes = 0;            ///< of their records, written to the channel in the window
    std::uint64_t remaining_bytes = 0;  ///< chunks that are to be sent at its end
};

/// What was sent in a window of measurement, which lasts a tenth of a second or a little longer.
struct WindowReport {
    std::uint64_t bytes = 0;            ///< written to the channel in the window, headers included
    std::uint64_t pages = 0;            ///< sent in the window, zero pages included
    std::uint64_t remaining_bytes = 0;  ///< dirty memory that has not been sent at its end
    Duration length{};
    Duration asleep{};                    ///< the part of it spent waiting for the bandwidth limit
    std::optional<DiskWindow> disk = {};  ///< where disks move
};

/// The decision at the end of a pass whether to stop the guest: what it was taken from, and how it went.
struct SwitchoverReport {
    std::uint64_t remaining_bytes = 0;  ///< what the rest of memory is expected to take in the stream
    std::uint64_t device_bytes = 0;     ///< what is sent after memory
    double bandwidth_bytes_per_s = 0;   ///< measured, or given; 0 while unknown
    double dirty_bytes_per_s = 0;       ///< memory dirtied per second during the last pass
    Duration fixed_cost{};              ///< stopping, starting, and the messages to and fro
    Duration downtime_limit{};
    Duration switchover_timeout{};
    Duration elapsed{};                              ///< since the first page
    std::optional<Duration> since_first_fit = {};    ///< since the rest first fitted the limit; absent before
    bool fits = false;                               ///< the rest can be sent within the limit
    bool switch_over = false;                        ///< the guest is stopped now
    std::optional<Duration> expected_downtime = {};  ///< predicted for a stop now; absent while unknown
};

}  // namespace godwit
