#pragma once

#include <array>
#include <cstdint>

#include "godwit/clock.h"

namespace godwit {

/// Measures bytes and pages per second over the last second, in windows of 100 ms, so that a single odd window changes
/// little. It also knows how much of that time was slept away because of a limit. One thread.
class ThroughputMeter {
public:
    static constexpr Duration window = std::chrono::milliseconds(100);

    void start(Instant now, std::uint64_t bytes, std::uint64_t pages) {
        count_ = 0;
        asleep_ = Duration::zero();
        latest_ = begin_ = Sample{now, bytes, pages, asleep_};
    }
    /// So long nothing was sent because nothing was allowed to be.
    void slept(Duration time) { asleep_ += time; }
    /// So long nothing was sent for a reason that has nothing to do with the link: as if that time had not been.
    void leave_out(Duration time) {
        begin_.when += time;
        latest_.when += time;
        for (Sample& sample : samples_) {
            sample.when += time;
        }
    }
    /// Tells the totals so far; returns true when a window has just been closed.
    bool update(Instant now, std::uint64_t bytes, std::uint64_t pages) {
        latest_ = Sample{now, bytes, pages, asleep_};
        const Sample& last = count_ == 0 ? begin_ : samples_[(count_ - 1) % samples_.size()];
        if (now - last.when < window) {
            return false;
        }
        samples_[count_++ % samples_.size()] = latest_;
        return true;
    }
    /// 0 before anything was measured.
    double bytes_per_s() const { return per_second(&Sample::bytes, Duration::zero()); }
    double pages_per_s() const { return per_second(&Sample::pages, Duration::zero()); }
    /// What the channel took while something was sent.
    double awake_bytes_per_s() const { return per_second(&Sample::bytes, latest_.asleep - oldest().asleep); }

private:
    struct Sample {
        Instant when{};
        std::uint64_t bytes = 0;
        std::uint64_t pages = 0;
        Duration asleep{};
    };

    const Sample& oldest() const { return count_ < samples_.size() ? begin_ : samples_[count_ % samples_.size()]; }
    double per_second(std::uint64_t Sample::*member, Duration asleep) const {
        const double seconds = std::chrono::duration<double>(latest_.when - oldest().when - asleep).count();
        return seconds <= 0 ? 0 : static_cast<double>(latest_.*member - oldest().*member) / seconds;
    }

    std::array<Sample, 10> samples_{};
    std::uint64_t count_ = 0;
    Sample begin_{};
    Sample latest_{};
    Duration asleep_{};
};

}  // namespace godwit
