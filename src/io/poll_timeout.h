#pragma once

#include <time.h>

#include <algorithm>
#include <chrono>

#include "godwit/clock.h"

namespace godwit {

/// The timeout argument of ppoll(2) for a wait that begins at `now` and ends at `deadline`.
class PollTimeout {
public:
    PollTimeout(Instant deadline, Instant now) : limited_(deadline != never) {
        const Duration left = deadline > now ? deadline - now : Duration::zero();
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
        timeout_ = {.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
    }
    /// Null: without limit.
    const timespec* get() const { return limited_ ? &timeout_ : nullptr; }

private:
    bool limited_;
    timespec timeout_{};
};

}  // namespace godwit
