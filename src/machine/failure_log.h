#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "godwit/error.h"
#include "godwit/log.h"

namespace godwit {

/// Says that requests fail without a line for each: the first at once, then how many more, at most every `interval`.
/// One thread at a time.
class FailureLog {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds interval{5};

    /// `log` outlives it.
    FailureLog(Log& log, std::string subject) : log_(log), subject_(std::move(subject)) {}

    void add(const Error& error, Clock::time_point now) {
        if (untold_ == 0 && now >= quiet_until_) {
            log_.write(LogLevel::warning,
                       fmt::format("{}: a request of the guest has failed: {}", subject_, error.text()));
            quiet_until_ = now + interval;
            return;
        }
        ++untold_;
        last_ = error.text();
        tell_rest(now);
    }
    /// Says what `add` has kept back, once it is time. To be called now and then.
    void tell_rest(Clock::time_point now) {
        if (untold_ != 0 && now >= quiet_until_) {
            log_.write(LogLevel::warning, fmt::format("{}: {} more requests of the guest have failed, the last one: {}",
                                                      subject_, std::exchange(untold_, 0), last_));
            quiet_until_ = now + interval;
        }
    }

private:
    Log& log_;
    const std::string subject_;
    Clock::time_point quiet_until_ = Clock::time_point::min();
    std::uint64_t untold_ = 0;
    std::string last_;
};

}  // namespace godwit
