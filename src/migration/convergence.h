#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "godwit/clock.h"
#include "godwit/parameters.h"
#include "godwit/statistics.h"

namespace godwit {

/// What is known at the end of a pass that is not the last.
struct PassOutcome {
    Duration elapsed{};                 ///< since the first page
    std::uint64_t remaining_bytes = 0;  ///< memory that is still to be sent
    Duration transfer_time{};           ///< that it, and the devices, would take
    Duration fixed_cost{};              ///< of the switchover besides
    double bandwidth_bytes_per_s = 0;
    double dirty_bytes_per_s = 0;  ///< memory
    unsigned throttle_percent = 0;
};

/// Recognises that a migration does not get nearer to its end: the smallest rest seen so far has not become smaller for
/// some passes. Says in words what would help. Pure; one object for each migration.
class ConvergenceWatch {
public:
    Convergence after_pass(const PassOutcome& pass, const MigrationParameters& parameters);

private:
    std::optional<PassOutcome> smallest_;
    std::uint64_t passes_since_ = 0;
};

/// What would let a migration that has stalled come to its end.
/// `smallest`: the pass that came nearest; `pass`: the last one.
std::string convergence_advice(const PassOutcome& smallest, const PassOutcome& pass,
                               const MigrationParameters& parameters);

}  // namespace godwit
