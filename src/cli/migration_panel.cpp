#include "cli/migration_panel.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/format_bytes.h"

namespace godwit {

namespace {

using Style = PanelLine::Style;

void add(std::vector<PanelLine>& lines, std::vector<std::string> texts, Style style = Style::plain) {
    for (std::string& text : texts) {
        lines.push_back({std::move(text), style});
    }
}

std::string milliseconds(const char* what, const std::optional<double>& value) {
    return value ? fmt::format("{} {:.{}f} ms", what, *value, *value < 100 ? 1 : 0) : "";
}

std::string percent(double fraction) {
    return fmt::format("{:3.0f} %", fraction * 100);
}

Style style_of(const MachineView& machine) {
    if (!machine.trouble.empty() || machine.migration.status == "failed") {
        return Style::bad;
    }
    return machine.migration.status == "completed" ? Style::good : Style::title;
}

/// "[####----]  50 %", with what is said of it beside it where there is room.
void add_bar(std::vector<PanelLine>& lines, const MigrationSample& m, std::size_t width, Glyphs glyphs) {
    const std::string beside = m.incoming ? fmt::format("received {}", format_bytes(m.transferred_bytes))
                                          : fmt::format("{} of {} remaining, {} sent", format_bytes(m.remaining_bytes),
                                                        format_bytes(m.total_bytes), format_bytes(m.transferred_bytes));
    constexpr std::size_t frame = 8;  // brackets, a blank, the percentage
    const std::size_t room = width > beside.size() + frame + 12 ? width - beside.size() - frame - 2 : width - frame;
    const std::array<std::string, 2> parts = {
        fmt::format("[{}] {}", bar(m.fraction(), std::min<std::size_t>(room, 60), glyphs), percent(m.fraction())),
        beside};
    add(lines, flow(parts, width));
}

void add_disks(std::vector<PanelLine>& lines, const MigrationSample& m, std::size_t width) {
    const std::string bytes = format_bytes(m.disk_transferred_bytes);
    const std::array<std::string, 2> parts = {
        m.incoming ? fmt::format("disks: {} received", bytes)
                   : fmt::format("disks: {} of {} remaining", format_bytes(m.disk_remaining_bytes),
                                 format_bytes(m.disk_total_bytes)),
        m.incoming ? "" : bytes + " sent"};
    add(lines, flow(parts, width));
}

void add_course(std::vector<PanelLine>& lines, const char* name, const std::vector<double>& values,
                const std::string& now, std::size_t width, Glyphs glyphs) {
    const std::size_t frame = 10 + 2 + 12;
    if (width < frame + 4) {
        lines.push_back({fit(fmt::format("{} {}", name, now), width)});
        return;
    }
    const std::string line = sparkline(values, std::min(width - frame, MigrationCourse::most_values), glyphs);
    lines.push_back({fit(fmt::format("{:<10}{}  {}", name, line, now), width)});
}

void add_rates(std::vector<PanelLine>& lines, const MigrationSample& m, std::size_t width) {
    const std::array<std::string, 5> parts = {
        m.incoming ? "" : fmt::format("{:.0f} Mbit/s", m.megabits_per_s),
        m.incoming || m.pages_per_s <= 0 ? "" : fmt::format("{:.0f} pages/s", m.pages_per_s),
        milliseconds("expected downtime", m.expected_downtime_ms),
        m.passes > 0 ? fmt::format("pass {:.0f}", m.passes) : "",
        m.throttle_percent && *m.throttle_percent > 0 ? fmt::format("throttle {:.0f} %", *m.throttle_percent) : "",
    };
    add(lines, flow(parts, width));
}

void add_end(std::vector<PanelLine>& lines, const MigrationSample& m, std::size_t width) {
    const std::array<std::string, 5> parts = {
        m.total_time_ms ? fmt::format("total {:.3f} s", *m.total_time_ms / 1e3) : "",
        m.incoming ? "" : milliseconds("downtime", m.downtime_ms),
        fmt::format("{} {}", m.incoming ? "received" : "sent", format_bytes(m.transferred_bytes)),
        m.has_disks ? fmt::format("disks {}", format_bytes(m.disk_transferred_bytes)) : "",
        m.passes > 0 ? fmt::format("{:.0f} passes", m.passes) : "",
    };
    add(lines, flow(parts, width));
}

void add_words(std::vector<PanelLine>& lines, const MigrationSample& m, std::size_t width) {
    if (!m.verdict.empty()) {
        const std::array<std::string, 2> parts = {"verdict: " + m.verdict, m.advice};
        add(lines, flow(parts, width));
    }
    if (!m.error.empty()) {
        const std::array<std::string, 3> parts = {"error: " + m.error,
                                                  m.error_code.empty() ? "" : "[" + m.error_code + "]", m.error_hint};
        add(lines, flow(parts, width), Style::bad);
    }
}

std::string status_of(const MachineView& machine) {
    return machine.migration.status.empty() ? "no migration" : machine.migration.status;
}

}  // namespace

std::vector<PanelLine> migration_lines(const MigrationSample& m, const MigrationCourse& course, std::size_t width,
                                       Glyphs glyphs) {
    std::vector<PanelLine> lines;
    width = std::max(width, least_panel_width - 2);
    if (m.has_ended()) {
        add_end(lines, m, width);
    } else if (m.total_bytes > 0 && m.status != "setup") {
        add_bar(lines, m, width, glyphs);
        if (m.has_disks) {
            add_disks(lines, m, width);
        }
        add_rates(lines, m, width);
        if (!m.incoming) {
            const std::string remaining = format_bytes(m.remaining_bytes + m.disk_remaining_bytes);
            add_course(lines, "remaining", course.remaining(), remaining, width, glyphs);
            add_course(lines, "dirtied", course.dirtied(), format_bytes(m.dirty_bytes_per_s) + "/s", width, glyphs);
        }
    }
    add_words(lines, m, width);
    return lines;
}

std::vector<PanelLine> panel_lines(const MachineView& machine, std::size_t width, Glyphs glyphs) {
    width = std::max(width, least_panel_width);
    std::vector<PanelLine> lines;
    const std::array<std::string, 4> title = {machine.name, status_of(machine),
                                              machine.run_state.empty() ? "" : "guest " + machine.run_state,
                                              machine.server};
    add(lines, flow(title, width), style_of(machine));
    if (!machine.trouble.empty()) {
        const std::array<std::string, 1> parts = {machine.trouble};
        add(lines, flow(parts, width), Style::bad);
    }
    for (PanelLine& line : migration_lines(machine.migration, machine.course, width - 2, glyphs)) {
        lines.push_back({"  " + line.text, line.style});
    }
    return lines;
}

PanelLine compact_line(const MachineView& machine, std::size_t width, Glyphs glyphs) {
    const MigrationSample& m = machine.migration;
    std::string text = fmt::format("{:<16} {:<12}", machine.name, status_of(machine));
    if (!machine.trouble.empty()) {
        text += " " + machine.trouble;
    } else if (m.moves()) {
        text +=
            fmt::format(" [{}] {}  {:.0f} Mbit/s  {} remaining", bar(m.fraction(), 16, glyphs), percent(m.fraction()),
                        m.megabits_per_s, format_bytes(m.remaining_bytes + m.disk_remaining_bytes));
    } else if (!m.error.empty()) {
        text += " " + m.error;
    }
    return {fit(text, width), style_of(machine)};
}

std::vector<PanelLine> screen_lines(const std::vector<MachineView>& machines, std::size_t width, std::size_t height,
                                    Glyphs glyphs) {
    const std::size_t most = std::max<std::size_t>(height, 2);
    const std::string title =
        fmt::format("godwit top: {} machine{}; q quits", machines.size(), machines.size() == 1 ? "" : "s");
    std::vector<PanelLine> lines = {{fit(title, width)}};
    for (const MachineView& machine : machines) {
        lines.push_back({});
        for (PanelLine& line : panel_lines(machine, width, glyphs)) {
            lines.push_back(std::move(line));
        }
    }
    if (lines.size() <= most) {
        return lines;
    }
    lines.resize(1);
    for (const MachineView& machine : machines) {
        lines.push_back(compact_line(machine, width, glyphs));
    }
    if (lines.size() > most) {
        const std::size_t hidden = lines.size() - (most - 1);
        lines.resize(most - 1);
        lines.push_back({fit(fmt::format("{} more: the window is too low", hidden), width)});
    }
    return lines;
}

}  // namespace godwit
