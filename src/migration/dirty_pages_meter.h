#pragma once

#include <cstdint>
#include <optional>

#include "godwit/clock.h"
#include "godwit/units.h"

namespace godwit {

/// Pages written per second, from what each collection of marks finds, over periods of at least a second: what a short
/// one finds says little. One thread.
class DirtyPagesMeter {
public:
    static constexpr Duration period = std::chrono::seconds(1);

    void start(Instant now) {
        begin_ = now;
        pages_ = 0;
        rate_.reset();
    }
    void collected(Instant now, PageCount newly_dirty) {
        pages_ += newly_dirty.value();
        const double seconds = std::chrono::duration<double>(now - begin_).count();
        if (seconds > 0) {
            latest_ = static_cast<double>(pages_) / seconds;
        }
        if (now - begin_ >= period) {
            rate_ = latest_;
            begin_ = now;
            pages_ = 0;
        }
    }
    /// Over the last whole period; before one has passed, over the time so far.
    double pages_per_s() const { return rate_.value_or(latest_); }

private:
    Instant begin_{};
    std::uint64_t pages_ = 0;
    double latest_ = 0;
    std::optional<double> rate_;
};

}  // namespace godwit
