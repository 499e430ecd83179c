#pragma once

#include <functional>
#include <string>

#include "tools/trace.h"

namespace godwit {

struct TimelineOptions {
    /// A line for each window of measurement; otherwise one for all that follow each other.
    bool every_window = false;
};

/// Tells a trace to a person: for each attempt what happened when, with times since its begin, and a summary. Each line
/// is printable and goes to `line` without a newline.
void tell_trace(const Trace& trace, const TimelineOptions& options,
                const std::function<void(const std::string&)>& line);

}  // namespace godwit
