#include "tools/trace_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/format_bytes.h"
#include "base/printable.h"

namespace godwit {

namespace {

double seconds(Duration time) {
    return std::chrono::duration<double>(time).count();
}

/// Adds up one event after the other.
class Adder {
public:
    Adder(const TraceAttempt& attempt, TraceSummary& summary) : attempt_(attempt), summary_(summary) {}

    void take(const TraceEvent& event) {
        since_begin_ = attempt_.since_begin(event);
        std::visit([this](const auto& what) { add(what); }, event.what);
    }

private:
    void add(const TraceState& state) {
        // A guest whose source hears nothing runs when the migration is completed.
        if (state.to == "completed" && summary_.stopped_at && !summary_.running_at) {
            summary_.running_at = since_begin_;
        }
    }
    void add(const TracePass& pass) { summary_.passes = std::max(summary_.passes, pass.pass); }
    void add(const SyncReport&) {}
    void add(const WindowReport& window) {
        summary_.bytes += static_cast<double>(window.bytes);
        if (window.disk) {
            summary_.disk_bytes = summary_.disk_bytes.value_or(0) + static_cast<double>(window.disk->bytes);
        }
        summary_.asleep_s += seconds(window.asleep);
        summary_.measured_s += seconds(window.length);
    }
    void add(const TraceThrottle& throttle) {
        summary_.most_throttle_percent = std::max(summary_.most_throttle_percent, throttle.percent);
    }
    void add(const TraceConvergence&) {}
    void add(const SwitchoverReport& report) {
        if (report.switch_over) {
            summary_.decision = report;
        }
    }
    void add(const TraceStep& step) {
        if (step.step == "source-stopped") {
            summary_.stopped_at = since_begin_;
        } else if (step.step == "source-completed" || step.step == "destination-running") {
            summary_.running_at = since_begin_;
        }
    }
    void add(const TraceEnd& end) {
        summary_.outcome = end.state;
        summary_.total = end.total;
        summary_.passes = std::max(summary_.passes, end.passes);
        summary_.bytes = static_cast<double>(end.transferred_bytes);
        summary_.downtime = end.downtime;
        if (end.disk_transferred_bytes) {
            summary_.disk_bytes = static_cast<double>(*end.disk_transferred_bytes);
        }
    }

    const TraceAttempt& attempt_;
    TraceSummary& summary_;
    Duration since_begin_{};
};

std::string decision_line(const TraceSummary& summary) {
    const SwitchoverReport& decision = *summary.decision;
    const std::string outcome = !summary.downtime ? "unknown" : format_time(*summary.downtime);
    const std::string predicted =
        decision.expected_downtime ? format_time(*decision.expected_downtime) : std::string("unknown");
    return fmt::format("switchover:  {} left at {}: predicted {}, limit {}, downtime was {}",
                       format_bytes(static_cast<double>(decision.remaining_bytes)),
                       format_rate(decision.bandwidth_bytes_per_s), predicted, format_time(decision.downtime_limit),
                       outcome);
}

void add_source_lines(const TraceSummary& summary, std::vector<std::string>& lines) {
    lines.push_back(fmt::format("sent:        {} in {} passes", format_bytes(summary.bytes), summary.passes));
    if (summary.measured_s > 0) {
        lines.push_back(fmt::format("asleep:      {:.0f} % of the time, for the bandwidth limit",
                                    100 * summary.asleep_s / summary.measured_s));
    }
    if (summary.most_throttle_percent > 0) {
        lines.push_back(fmt::format("throttle:    up to {} %", summary.most_throttle_percent));
    }
    if (summary.decision) {
        lines.push_back(decision_line(summary));
    }
}

}  // namespace

std::string format_time(Duration time) {
    const double s = seconds(time);
    if (s >= 1) {
        return fmt::format("{:.3f} s", s);
    }
    return s >= 1e-3 || s == 0 ? fmt::format("{:.2f} ms", s * 1e3) : fmt::format("{:.1f} us", s * 1e6);
}

std::string format_rate(double bytes_per_s) {
    return format_bytes(bytes_per_s) + "/s";
}

TraceSummary summarize(const TraceAttempt& attempt) {
    TraceSummary summary;
    Adder adder(attempt, summary);
    for (const TraceEvent& event : attempt.events) {
        adder.take(event);
    }
    if (summary.outcome.empty()) {
        summary.total = attempt.since_begin(attempt.events.back());
    }
    return summary;
}

std::vector<std::string> summary_lines(const TraceAttempt& attempt) {
    const TraceSummary summary = summarize(attempt);
    const auto* end = attempt.last<TraceEnd>();
    std::vector<std::string> lines;
    lines.push_back("outcome:     " +
                    (end != nullptr ? printable(summary.outcome) : std::string("the trace stops before the end")));
    if (end != nullptr && !end->error.empty()) {
        lines.push_back(fmt::format("error:       {} [{}]", printable(end->error), printable(end->error_code)));
        if (!end->error_hint.empty()) {
            lines.push_back("what to do:  " + printable(end->error_hint));
        }
    }
    lines.push_back("total time:  " + format_time(summary.total));
    if (summary.downtime) {
        lines.push_back("downtime:    " + format_time(*summary.downtime));
    }
    if (attempt.role == "source") {
        add_source_lines(summary, lines);
    } else if (end != nullptr) {
        lines.push_back("received:    " + format_bytes(summary.bytes));
    }
    if (summary.disk_bytes) {
        lines.push_back(fmt::format("disks:       {} of these", format_bytes(*summary.disk_bytes)));
    }
    if (end != nullptr && !end->peer.empty()) {
        lines.push_back("peer:        " + printable(end->peer));
    }
    return lines;
}

}  // namespace godwit
