#include "tools/trace_timeline.h"

#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <utility>

#include "base/format_bytes.h"
#include "base/printable.h"
#include "godwit/units.h"
#include "tools/trace_summary.h"

namespace godwit {

namespace {

using LineSink = std::function<void(const std::string&)>;

double seconds(Duration time) {
    return std::chrono::duration<double>(time).count();
}

std::string describe(const TraceState& state) {
    return "state: " + printable(state.to);
}

std::string describe(const TracePass& pass) {
    return fmt::format("pass {} begins", pass.pass);
}

std::string describe(const SyncReport& sync) {
    const double bytes = static_cast<double>(sync.dirtied_pages) * static_cast<double>(page_bytes);
    const double period_s = seconds(sync.period);
    return fmt::format("sync: {} pages dirtied in {} ({}), {} remaining", sync.dirtied_pages, format_time(sync.period),
                       period_s > 0 ? format_rate(bytes / period_s) : "-",
                       format_bytes(static_cast<double>(sync.remaining_bytes)));
}

std::string describe(const TraceThrottle& throttle) {
    return fmt::format("throttle: {} %", throttle.percent);
}

std::string describe(const TraceConvergence& convergence) {
    return fmt::format("convergence: {}{}{}", printable(convergence.verdict), convergence.advice.empty() ? "" : "; ",
                       printable(convergence.advice));
}

std::string describe(const SwitchoverReport& report) {
    const std::string expected =
        report.expected_downtime ? format_time(*report.expected_downtime) : std::string("an unknown time");
    const char* reason = report.switch_over ? "stop the guest" : report.fits ? "go on, it will be less" : "go on";
    return fmt::format("decision: {}; {} remaining take {} at {}, limit {}, dirtied at {}", reason,
                       format_bytes(static_cast<double>(report.remaining_bytes)), expected,
                       format_rate(report.bandwidth_bytes_per_s), format_time(report.downtime_limit),
                       format_rate(report.dirty_bytes_per_s));
}

std::string describe(const TraceStep& step) {
    return "handover: " + printable(step.step);
}

std::string describe(const TraceEnd& end) {
    return end.error.empty() ? "end" : fmt::format("end: {} [{}]", printable(end.error), printable(end.error_code));
}

/// Windows that follow each other.
struct Stretch {
    std::uint64_t windows = 0;
    double bytes = 0;
    double pages = 0;
    double length_s = 0;
    double asleep_s = 0;
    std::uint64_t remaining_bytes = 0;
    double disk_bytes = 0;
    std::optional<std::uint64_t> disk_remaining_bytes = {};

    void add(const WindowReport& window) {
        ++windows;
        bytes += static_cast<double>(window.bytes);
        pages += static_cast<double>(window.pages);
        length_s += seconds(window.length);
        asleep_s += seconds(window.asleep);
        remaining_bytes = window.remaining_bytes;
        if (window.disk) {
            disk_bytes += static_cast<double>(window.disk->bytes);
            disk_remaining_bytes = window.disk->remaining_bytes;
        }
    }
    std::string text() const {
        const double s = length_s > 0 ? length_s : 1e-9;
        const std::string disks = disk_remaining_bytes
                                      ? fmt::format("; disks: {} sent, {} remaining", format_bytes(disk_bytes),
                                                    format_bytes(static_cast<double>(*disk_remaining_bytes)))
                                      : "";
        return fmt::format("sent: {} in {:.3f} s ({}, {:.0f} pages/s), asleep {:.0f} %, {} remaining{}",
                           format_bytes(bytes), length_s, format_rate(bytes / s), pages / s, 100 * asleep_s / s,
                           format_bytes(static_cast<double>(remaining_bytes)), disks);
    }
};

class Teller {
public:
    Teller(const TraceAttempt& attempt, const TimelineOptions& options, const LineSink& line)
        : attempt_(attempt), options_(options), line_(line) {}

    void tell() {
        for (const TraceEvent& event : attempt_.events) {
            if (const auto* window = std::get_if<WindowReport>(&event.what)) {
                stretch_.add(*window);
                stretch_end_ = attempt_.since_begin(event);
                if (options_.every_window) {
                    end_stretch();
                }
                continue;
            }
            end_stretch();
            std::visit([&](const auto& what) { put(attempt_.since_begin(event), what); }, event.what);
        }
        end_stretch();
    }

private:
    template <typename What>
    void put(Duration at, const What& what) {
        if constexpr (!std::is_same_v<What, WindowReport>) {
            line_(fmt::format("{:+14.6f} s  {}", seconds(at), describe(what)));
        }
    }
    void end_stretch() {
        if (stretch_.windows > 0) {
            line_(fmt::format("{:+14.6f} s  {}", seconds(stretch_end_), stretch_.text()));
            stretch_ = {};
        }
    }

    const TraceAttempt& attempt_;
    const TimelineOptions& options_;
    const LineSink& line_;
    Stretch stretch_;
    Duration stretch_end_{};
};

}  // namespace

void tell_trace(const Trace& trace, const TimelineOptions& options, const LineSink& line) {
    const TraceHeader& header = trace.header;
    line(fmt::format("trace of {} by godwit {}, started as {} at {}",
                     header.name.empty() ? "a machine without a name" : printable(header.name),
                     printable(header.version), printable(header.role), printable(header.wall_clock)));
    if (trace.attempts.empty()) {
        line("no migration was attempted");
    }
    std::size_t number = 0;
    for (const TraceAttempt& attempt : trace.attempts) {
        line("");
        line(fmt::format("migration {} ({})", ++number, printable(attempt.role)));
        Teller(attempt, options, line).tell();
        line("");
        for (const std::string& summary : summary_lines(attempt)) {
            line("  " + summary);
        }
    }
    if (trace.cut_line) {
        line("");
        line(fmt::format("the trace is cut off in line {}", *trace.cut_line));
    }
}

}  // namespace godwit
