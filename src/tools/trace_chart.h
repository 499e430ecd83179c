#pragma once

#include <string>

#include "tools/trace.h"

namespace godwit {

/// Draws one attempt as SVG: throughput, remaining memory, dirty rate and throttle over time, the guest's stop marked.
/// The drawing's size does not depend on the trace's length.
std::string draw_trace(const TraceHeader& header, const TraceAttempt& attempt);

}  // namespace godwit
