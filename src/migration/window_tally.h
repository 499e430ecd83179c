#pragma once

#include <algorithm>
#include <cstdint>

#include "godwit/clock.h"
#include "godwit/trace_events.h"

namespace godwit {

/// Adds up what happens within a window of measurement, for listeners. One thread.
class WindowTally {
public:
    void start(Instant now, std::uint64_t bytes, std::uint64_t pages) {
        begin_ = now;
        bytes_ = bytes;
        pages_ = pages;
        asleep_ = Duration::zero();
    }
    /// The thread waited for the bandwidth limit.
    void add_sleep(Duration time) { asleep_ += time; }

    /// Takes the totals so far, returns what came since the window before, and begins the next.
    WindowReport close(Instant now, std::uint64_t bytes, std::uint64_t pages, std::uint64_t remaining_bytes) {
        const WindowReport report{bytes - bytes_, pages - pages_, remaining_bytes, now - begin_,
                                  std::min(asleep_, now - begin_)};
        start(now, bytes, pages);
        return report;
    }

private:
    Instant begin_{};
    std::uint64_t bytes_ = 0;
    std::uint64_t pages_ = 0;
    Duration asleep_{};
};

}  // namespace godwit
