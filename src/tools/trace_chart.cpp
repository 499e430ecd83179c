#include "tools/trace_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <optional>
#include <vector>

#include "base/format_bytes.h"
#include "base/printable.h"
#include "godwit/units.h"
#include "tools/svg_writer.h"
#include "tools/trace_summary.h"

namespace godwit {

namespace {

constexpr double width = 960;
constexpr double left = 90;
constexpr double right = 20;
constexpr double head = 70;
constexpr double panel_height = 120;
constexpr double panel_gap = 40;
constexpr double plot_width = width - left - right;
/// More points than this cannot be told apart.
constexpr std::size_t most_points = 2000;
/// More begins of passes than this would hide the data.
constexpr std::size_t most_passes = 100;

constexpr const char* style =
    "svg{background:#fff}text{font:12px sans-serif;fill:#333}.title{font-size:16px}.axis{stroke:#888}.grid{stroke:#eee}"
    ".pass{stroke:#bbb;stroke-dasharray:2 "
    "3}.data{fill:none;stroke:#1f6fb4;stroke-width:1.5}.downtime{fill:#d62728;fill-opacity:.3}.note{fill:#d62728}";

double seconds(Duration time) {
    return std::chrono::duration<double>(time).count();
}

struct Sample {
    double at_s = 0;
    double value = 0;
};

struct Panel {
    const char* title = "";
    std::function<std::string(double)> label;
    std::vector<Sample> samples = {};
    /// A value holds until the next; otherwise samples are joined by lines.
    bool steps = false;
};

/// A round number of seconds that divides the whole into 4 to 10 parts.
double tick_step(double whole_s) {
    const double power = std::pow(10, std::floor(std::log10(whole_s)));
    for (const double step : {0.1, 0.2, 0.5}) {
        if (whole_s / (step * power) <= 10) {
            return step * power;
        }
    }
    return power;
}

/// Keeps the largest of neighbours, so that no peak is lost.
std::vector<Sample> thinned(const std::vector<Sample>& samples) {
    const std::size_t together = (samples.size() + most_points - 1) / most_points;
    if (together <= 1) {
        return samples;
    }
    std::vector<Sample> kept;
    for (std::size_t i = 0; i < samples.size(); i += together) {
        const auto begin = samples.begin() + static_cast<std::ptrdiff_t>(i);
        const auto end = samples.begin() + static_cast<std::ptrdiff_t>(std::min(i + together, samples.size()));
        kept.push_back(
            *std::max_element(begin, end, [](const Sample& a, const Sample& b) { return a.value < b.value; }));
    }
    return kept;
}

class Panels {
public:
    explicit Panels(const TraceAttempt& attempt) {
        panels_ = {{"throughput", format_rate},
                   {"remaining", format_bytes},
                   {"dirtied", format_rate},
                   {"throttle", [](double percent) { return fmt::format("{:.0f} %", percent); }}};
        panels_[3].steps = true;
        for (const TraceEvent& event : attempt.events) {
            const double at_s = seconds(attempt.since_begin(event));
            end_s_ = std::max(end_s_, at_s);
            if (const auto* window = std::get_if<WindowReport>(&event.what)) {
                const double length_s = std::max(1e-9, seconds(window->length));
                add(0, at_s, static_cast<double>(window->bytes) / length_s);
                add(1, at_s, static_cast<double>(window->remaining_bytes));
                if (window->disk) {
                    if (panels_.size() == 4) {
                        panels_.push_back({"disks: remaining", format_bytes});
                    }
                    add(4, at_s, static_cast<double>(window->disk->remaining_bytes));
                }
            } else if (const auto* sync = std::get_if<SyncReport>(&event.what)) {
                const double bytes = static_cast<double>(sync->dirtied_pages) * static_cast<double>(page_bytes);
                add(1, at_s, static_cast<double>(sync->remaining_bytes));
                // It was dirtied before it was found.
                const double period_s = std::max(1e-9, seconds(sync->period));
                add(2, std::max(0.0, at_s - period_s), bytes / period_s);
                add(2, at_s, bytes / period_s);
            } else if (std::holds_alternative<TracePass>(event.what)) {
                passes_.push_back(at_s);
            } else if (const auto* throttle = std::get_if<TraceThrottle>(&event.what)) {
                add(3, at_s, static_cast<double>(throttle->percent));
            }
        }
    }

    /// The one of the disks comes last, where disks move.
    const std::vector<Panel>& all() const { return panels_; }
    /// When the passes began.
    const std::vector<double>& passes() const { return passes_; }
    double end_s() const { return std::max(end_s_, 1e-9); }

private:
    void add(std::size_t panel, double at_s, double value) { panels_[panel].samples.push_back({at_s, value}); }

    std::vector<Panel> panels_;
    std::vector<double> passes_;
    double end_s_ = 0;
};

class Chart {
public:
    explicit Chart(const TraceAttempt& attempt)
        : attempt_(attempt),
          panels_(attempt),
          svg_(width, head + static_cast<double>(panels_.all().size()) * (panel_height + panel_gap), style) {}

    std::string draw(const TraceHeader& header) {
        const TraceSummary summary = summarize(attempt_);
        put_title(header, summary);
        double top = head;
        for (const Panel& panel : panels_.all()) {
            put_downtime(summary, top);
            put_panel(panel, top);
            top += panel_height + panel_gap;
        }
        return svg_.finish();
    }

private:
    double x(double at_s) const { return left + std::clamp(at_s / panels_.end_s(), 0.0, 1.0) * plot_width; }

    void put_title(const TraceHeader& header, const TraceSummary& summary) {
        const std::string name = header.name.empty() ? "migration" : printable(header.name);
        svg_.text({left, 24}, fmt::format("{} ({}), {}", name, printable(attempt_.role), printable(header.wall_clock)),
                  "title");
        std::string line = fmt::format("{}, total {}, {} in {} passes",
                                       summary.outcome.empty() ? "not ended" : printable(summary.outcome),
                                       format_time(summary.total), format_bytes(summary.bytes), summary.passes);
        if (summary.downtime) {
            line += ", downtime " + format_time(*summary.downtime);
        }
        svg_.text({left, 44}, line, "text");
    }

    void put_downtime(const TraceSummary& summary, double top) {
        if (!summary.stopped_at) {
            return;
        }
        const double from = x(seconds(*summary.stopped_at));
        const double to = x(summary.running_at ? seconds(*summary.running_at) : panels_.end_s());
        svg_.rect({from, top}, std::max(1.5, to - from), panel_height, "downtime");
        if (top == head) {
            svg_.text({std::min(from, width - right), top - 6}, "guest stopped", "note", "end");
        }
    }

    void put_panel(const Panel& panel, double top) {
        const double bottom = top + panel_height;
        double most = 0;
        for (const Sample& sample : panel.samples) {
            most = std::max(most, sample.value);
        }
        for (const double part : {0.0, 0.5, 1.0}) {
            const double y = bottom - part * panel_height;
            svg_.line({left, y}, {left + plot_width, y}, part == 0 ? "axis" : "grid");
            if (most > 0 || part == 0) {
                svg_.text({left - 6, y + 4}, panel.label(part * most), "label", "end");
            }
        }
        svg_.text({left, top - 6}, panel.title, "label");
        const double tick_s = tick_step(panels_.end_s());
        for (int tick = 0; tick * tick_s <= panels_.end_s(); ++tick) {
            svg_.text({x(tick * tick_s), bottom + 16}, fmt::format("{:.4g} s", tick * tick_s), "label", "middle");
        }
        put_passes(top);
        if (panel.samples.empty()) {
            svg_.text({left + plot_width / 2, top + panel_height / 2}, "nothing was recorded", "label", "middle");
            return;
        }
        put_data(panel, bottom, most > 0 ? most : 1);
    }

    void put_passes(double top) {
        if (panels_.passes().size() > most_passes) {
            return;
        }
        for (const double at_s : panels_.passes()) {
            svg_.line({x(at_s), top}, {x(at_s), top + panel_height}, "pass");
        }
    }

    void put_data(const Panel& panel, double bottom, double most) {
        std::vector<SvgWriter::Point> points;
        for (const Sample& sample : thinned(panel.samples)) {
            const double at = x(sample.at_s);
            if (panel.steps) {
                points.emplace_back(at, points.empty() ? bottom : points.back().second);
            }
            points.emplace_back(at, bottom - sample.value / most * panel_height);
        }
        if (panel.steps) {
            points.emplace_back(left + plot_width, points.back().second);
        }
        svg_.polyline(points, "data");
    }

    const TraceAttempt& attempt_;
    const Panels panels_;
    SvgWriter svg_;
};

}  // namespace

std::string draw_trace(const TraceHeader& header, const TraceAttempt& attempt) {
    return Chart(attempt).draw(header);
}

}  // namespace godwit
