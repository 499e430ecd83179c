#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "godwit/trace_events.h"

namespace godwit {

// A trace as it was read (docs/tracing.md). Texts come from a file: make them printable before they are shown.

struct TraceHeader {
    std::string version;
    std::string role;
    std::string name;
    std::string wall_clock;
};

struct TraceState {
    std::string from;
    std::string to;
};
struct TracePass {
    std::uint64_t pass = 0;
};
struct TraceThrottle {
    std::uint64_t percent = 0;
};
struct TraceConvergence {
    std::string verdict;
    std::string advice;
};
struct TraceStep {
    std::string step;
};
/// The statistics at the end of an attempt.
struct TraceEnd {
    std::string state;
    Duration total{};
    std::optional<Duration> setup = {};
    std::optional<Duration> downtime = {};
    std::uint64_t transferred_bytes = 0;
    std::uint64_t downtime_bytes = 0;
    std::uint64_t zero_pages = 0;
    std::uint64_t normal_pages = 0;
    std::uint64_t passes = 0;
    std::optional<std::uint64_t> disk_transferred_bytes = {};
    std::string peer;
    std::string error_code;
    std::string error;
    std::string error_hint;
};

struct TraceEvent {
    /// On the monotonic clock of the host that wrote it.
    Duration at{};
    std::variant<TraceState, TracePass, SyncReport, WindowReport, TraceThrottle, TraceConvergence, SwitchoverReport,
                 TraceStep, TraceEnd>
        what;
};

/// One migration, from `setup` to its end, or to the end of the trace.
struct TraceAttempt {
    std::string role;
    std::vector<TraceEvent> events;  ///< never empty

    /// The event of this kind that came last, or null.
    template <typename Kind>
    const Kind* last() const {
        for (auto event = events.rbegin(); event != events.rend(); ++event) {
            if (const Kind* found = std::get_if<Kind>(&event->what)) {
                return found;
            }
        }
        return nullptr;
    }
    /// How long after the attempt's first event; never negative.
    Duration since_begin(const TraceEvent& event) const {
        return event.at > events.front().at ? event.at - events.front().at : Duration::zero();
    }
};

struct Trace {
    TraceHeader header;
    std::vector<TraceAttempt> attempts;
    /// The last line was cut off; this is its number.
    std::optional<std::uint64_t> cut_line = {};
};

}  // namespace godwit
