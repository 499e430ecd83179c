#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "godwit/clock.h"
#include "godwit/units.h"

namespace godwit {

/// A budget of bytes that grows with time: what may be sent now, and when there will be more. It smooths: what was not
/// used for longer than the catch-up time is lost. Sending past the budget is allowed and paid back by waiting. One
/// thread.
class RateLimiter {
public:
    /// Longest time's worth of bytes that may leave at once.
    static constexpr Duration burst = std::chrono::milliseconds(10);

    /// Sleeps end late; what accrues for up to `catch_up` meanwhile is not lost.
    explicit RateLimiter(Duration catch_up = 4 * burst) : catch_up_(catch_up) {}

    /// 0 is no limit. Takes effect at once.
    void set_limit(std::uint64_t bytes_per_s, Instant now) {
        if (bytes_per_s == bytes_per_s_) {
            return;
        }
        bytes_per_s_ = bytes_per_s;
        credit_bytes_ = 0;
        last_ = now;
    }
    bool limited() const { return bytes_per_s_ != 0; }

    /// What may be sent now; 0 when it is time to wait.
    ByteCount budget(Instant now) {
        if (!limited()) {
            return ByteCount(std::numeric_limits<std::uint64_t>::max());
        }
        refill(now);
        return ByteCount(credit_bytes_ < 1 ? 0 : static_cast<std::uint64_t>(credit_bytes_));
    }
    /// What should leave at once, so that the traffic is smooth.
    ByteCount largest_write() const {
        return ByteCount(limited() ? static_cast<std::uint64_t>(std::min(burst_bytes(), 1e18))
                                   : std::numeric_limits<std::uint64_t>::max());
    }
    void spend(ByteCount bytes) {
        if (limited()) {
            credit_bytes_ -= static_cast<double>(bytes.value());
        }
    }
    /// When a burst will be available again.
    Instant next_budget_at(Instant now) const {
        const double missing = burst_bytes() - credit_bytes_;
        const double seconds = std::clamp(missing / static_cast<double>(bytes_per_s_), 0.0, max_wait_s);
        return now + std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9) + 1);
    }

private:
    static constexpr double max_wait_s = 86'400;
    double capacity_bytes() const { return bytes_in(catch_up_); }
    double burst_bytes() const { return bytes_in(burst); }
    double bytes_in(Duration time) const {
        return std::max(1.0, static_cast<double>(bytes_per_s_) * std::chrono::duration<double>(time).count());
    }
    void refill(Instant now) {
        const double seconds = std::chrono::duration<double>(now - last_).count();
        credit_bytes_ = std::min(capacity_bytes(), credit_bytes_ + seconds * static_cast<double>(bytes_per_s_));
        last_ = now;
    }

    Duration catch_up_;
    std::uint64_t bytes_per_s_ = 0;
    double credit_bytes_ = 0;
    Instant last_{};
};

}  // namespace godwit
