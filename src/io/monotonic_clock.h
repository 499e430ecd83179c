#pragma once

#include <chrono>

#include "godwit/clock.h"

namespace godwit {

/// The time line of Linux' CLOCK_MONOTONIC: common to all processes of a host.
class MonotonicClock : public Clock {
public:
    Instant now() const override {
        // libstdc++'s steady_clock is CLOCK_MONOTONIC.
        return Instant(std::chrono::steady_clock::now().time_since_epoch());
    }
};

}  // namespace godwit
