#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "base/format_bytes.h"
#include "base/printable.h"

namespace godwit {

namespace {

double number(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_number() ? found->get<double>() : 0.0;
}

Json member_of(const Json& report, const char* name) {
    const auto found = report.find(name);
    return found != report.end() && found->is_object() ? *found : Json::object();
}

Json ram_of(const Json& report) {
    return member_of(report, "ram");
}

double passes_of(const Json& report) {
    return report.contains("x-godwit-passes") ? number(report, "x-godwit-passes")
                                              : number(ram_of(report), "dirty-sync-count");
}

bool is_incoming(const Json& report) {
    const auto incoming = report.find("x-godwit-incoming");
    return incoming != report.end() && *incoming == true;
}

/// QMP counts megabits of 10^6; godwit's leave out the time asleep for a limit.
double bytes_per_s(const Json& ram) {
    return ram.contains("x-godwit-bytes-per-second") ? number(ram, "x-godwit-bytes-per-second")
                                                     : number(ram, "mbps") * 1e6 / 8;
}

}  // namespace

std::string progress_line(const Json& report) {
    const Json ram = ram_of(report);
    const auto found = report.find("status");
    std::string status = found != report.end() && found->is_string() ? printable(found->get<std::string>()) : "waiting";
    if (ram.empty() || status == "setup") {
        return status;
    }
    if (is_incoming(report)) {
        return fmt::format("{}  received {}", status, format_bytes(number(ram, "transferred")));
    }
    const Json disk = member_of(report, "disk");
    const std::string disks = disk.empty() ? ""
                                           : fmt::format("  disks {} of {}", format_bytes(number(disk, "remaining")),
                                                         format_bytes(number(disk, "total")));
    const double page = number(ram, "page-size");
    return fmt::format("{}  pass {:.0f}  sent {}  at {}/s  remaining {} of {}{}  dirtied {}/s", status,
                       passes_of(report), format_bytes(number(ram, "transferred")), format_bytes(bytes_per_s(ram)),
                       format_bytes(number(ram, "remaining")), format_bytes(number(ram, "total")), disks,
                       format_bytes(number(ram, "dirty-pages-rate") * page));
}

std::string completion_text(const Json& report) {
    const Json disk = member_of(report, "disk");
    const std::string bytes =
        format_bytes(number(ram_of(report), "transferred")) +
        (disk.empty() ? "" : fmt::format(" (disks {})", format_bytes(number(disk, "transferred"))));
    const double total_s = number(report, "total-time") / 1e3;
    if (is_incoming(report)) {
        return fmt::format("total time {:.3f} s, received {}", total_s, bytes);
    }
    const bool exact = report.contains("x-godwit-downtime-ns");
    const double downtime_ms = exact ? number(report, "x-godwit-downtime-ns") / 1e6 : number(report, "downtime");
    return fmt::format("total time {:.3f} s, downtime {:.{}f} ms, sent {} in {:.0f} passes", total_s, downtime_ms,
                       exact ? 2 : 0, bytes, passes_of(report));
}

void LineProgress::show(const Json& report, Clock::time_point now) {
    if (now < next_) {
        return;
    }
    next_ = now + std::chrono::seconds(1);
    fmt::print("{}\n", progress_line(report));
    std::fflush(stdout);
}

void LiveProgress::show(const Json& report, Clock::time_point now) {
    const MigrationSample sample = parse_migration(report);
    course_.add(sample);
    if (now < next_) {
        return;
    }
    next_ = now + std::chrono::milliseconds(100);
    const std::size_t width = terminal_size(STDERR_FILENO).width;
    std::vector<PanelLine> lines = {
        {fit(title_ + (sample.status.empty() ? "" : ": " + sample.status), width), PanelLine::Style::title}};
    for (PanelLine& line : migration_lines(sample, course_, width, glyphs_)) {
        lines.push_back(std::move(line));
    }
    block_.paint(lines);
}

std::unique_ptr<Progress> make_progress(const std::string& title) {
    if (is_capable_terminal(STDERR_FILENO)) {
        return std::make_unique<LiveProgress>(title);
    }
    return std::make_unique<LineProgress>();
}

}  // namespace godwit
