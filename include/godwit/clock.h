#pragma once

#include <chrono>

namespace godwit {

/// Tag of the time line on which a `Clock` counts. It starts at an arbitrary moment and never goes back.
struct MonotonicTimeline {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
};

using Duration = std::chrono::nanoseconds;
/// A moment of a `Clock`. Moments of different clocks must not be compared.
using Instant = std::chrono::time_point<MonotonicTimeline, Duration>;

/// Later than everything: a wait with this deadline has no limit.
inline constexpr Instant never = Instant::max();

/// The only source of time. Any thread may call it.
class Clock {
public:
    virtual ~Clock() = default;
    virtual Instant now() const = 0;
};

}  // namespace godwit
