#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <string>
#include <utility>

#include "godwit/error.h"
#include "io/cancel_event.h"
#include "io/system_error.h"

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

/// The error of a system call that moves data ("receive") between a descriptor and memory. The memory may be a guest's
/// that lies in a file: then the page may not be there, whatever the descriptor.
inline tl::unexpected<Error> fail_transfer(const char* action, const std::string& description, int error,
                                           std::string hint = {}) {
    if (error == EFAULT) {
        return fail(ErrorCode::memory,
                    fmt::format("cannot {} ({}): a page of guest memory cannot be had", action, description),
                    "see whether the file system of the memory file is full or the file was cut short, and whether the "
                    "host has memory left");
    }
    return fail_errno(ErrorCode::io, fmt::format("cannot {} ({})", action, description), error, std::move(hint));
}

inline constexpr const char* no_data_taken = "the peer took no data";
inline constexpr const char* no_data_sent = "the peer sent no data";
inline constexpr const char* not_acknowledged = "the peer did not take all data";

}  // namespace godwit
