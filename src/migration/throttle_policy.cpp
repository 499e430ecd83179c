#include "migration/throttle_policy.h"

#include <algorithm>

namespace godwit {

namespace {

/// A single period may be odd.
constexpr unsigned periods_before_step = 2;

/// What the virtual CPUs may still do falls in proportion to what is too much, but by `most` percent at once.
unsigned tail_step(unsigned percent, double acceptable_bytes, double dirtied_bytes, unsigned most) {
    const double now = 100.0 - percent;
    const double ideal = now * acceptable_bytes / dirtied_bytes;
    return static_cast<unsigned>(std::clamp(now - ideal, 1.0, static_cast<double>(std::max(most, 1U))));
}

}  // namespace

unsigned ThrottlePolicy::decide(const MigrationParameters& parameters, const ThrottlePeriod& period) {
    const double acceptable_bytes = static_cast<double>(period.transferred_bytes) *
                                    static_cast<double>(parameters.throttle_trigger_threshold_percent) / 100;
    const auto dirtied_bytes = static_cast<double>(period.dirtied_bytes);
    if (dirtied_bytes <= acceptable_bytes || ++fast_periods_ < periods_before_step) {
        return percent_;
    }
    fast_periods_ = 0;
    const auto increment = static_cast<unsigned>(parameters.cpu_throttle_increment_percent);
    const unsigned step =
        parameters.cpu_throttle_tailslow ? tail_step(percent_, acceptable_bytes, dirtied_bytes, increment) : increment;
    const unsigned wanted =
        percent_ == 0 ? static_cast<unsigned>(parameters.cpu_throttle_initial_percent) : percent_ + step;
    percent_ = std::max(percent_, std::min(wanted, static_cast<unsigned>(parameters.max_cpu_throttle_percent)));
    return percent_;
}

}  // namespace godwit
