#pragma once

#include <cstdint>

#include "godwit/clock.h"
#include "godwit/parameters.h"
#include "godwit/units.h"

namespace godwit {

/// A migration that is to be foretold.
struct MovePlan {
    ByteCount memory;
    /// What the guest writes, each page counted once per pass.
    double dirty_bytes_per_s = 0;
    double bandwidth_bytes_per_s = 0;
    Duration round_trip{};
    MigrationParameters parameters = {};
};

struct MoveEstimate {
    /// The guest can be stopped for no longer than the limit at some time.
    bool ends = false;
    Duration total_time{};
    Duration downtime{};
    /// The last one, with the guest stopped, included.
    std::uint64_t passes = 0;
    ByteCount sent;
};

/// What a migration with these figures would take, by the same decision about the switchover that a real one makes.
/// Writes are taken to be even in time and spread over all memory, so one with a small working set ends sooner. Pure.
MoveEstimate estimate_move(const MovePlan& plan);

}  // namespace godwit
