#pragma once

#include <fmt/format.h>

#include <string>

#include "godwit/error.h"
#include "io/cancel_event.h"

namespace godwit {

/// The errors that all channels have in common. `description` is the channel's ("tcp:10.0.0.1:4444").

inline tl::unexpected<Error> fail_cancelled(const std::string& description) {
    return fail(ErrorCode::cancelled, fmt::format("the connection was given up ({})", description));
}

inline tl::unexpected<Error> fail_peer_closed(const std::string& description) {
    return fail(ErrorCode::peer_closed, fmt::format("the peer closed the connection ({})", description),
                "look at the peer's messages for the reason");
}

/// The error of a wait that did not end with `ready`.
inline tl::unexpected<Error> fail_wait(WaitOutcome outcome, const std::string& description, const char* what) {
    if (outcome == WaitOutcome::cancelled) {
        return fail_cancelled(description);
    }
    return fail(ErrorCode::idle_timeout, fmt::format("{} before the deadline ({})", what, description),
                "the peer hangs or the network is broken");
}

inline constexpr const char* no_data_taken = "the peer took no data";
inline constexpr const char* no_data_sent = "the peer sent no data";
inline constexpr const char* not_acknowledged = "the peer did not take all data";

}  // namespace godwit
