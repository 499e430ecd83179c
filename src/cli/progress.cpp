#include "cli/progress.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>

namespace godwit {

namespace {

double number(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_number() ? found->get<double>() : 0.0;
}

Json ram_of(const Json& report) {
    const auto ram = report.find("ram");
    return ram != report.end() && ram->is_object() ? *ram : Json::object();
}

double passes_of(const Json& report) {
    return report.contains("x-godwit-passes") ? number(report, "x-godwit-passes")
                                              : number(ram_of(report), "dirty-sync-count");
}

bool is_incoming(const Json& report) {
    const auto incoming = report.find("x-godwit-incoming");
    return incoming != report.end() && *incoming == true;
}

/// QMP counts megabits of 10^6.
double bytes_per_s(const Json& ram) {
    return number(ram, "mbps") * 1e6 / 8;
}

}  // namespace

std::string format_bytes(double bytes) {
    constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    std::size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < units.size()) {
        bytes /= 1024;
        ++unit;
    }
    return fmt::format("{:.{}f} {}", bytes, unit == 0 || bytes >= 100 ? 0 : 1, units[unit]);
}

std::string progress_line(const Json& report) {
    const Json ram = ram_of(report);
    const auto found = report.find("status");
    const std::string status = found != report.end() && found->is_string() ? found->get<std::string>() : "waiting";
    if (ram.empty() || status == "setup") {
        return status;
    }
    if (is_incoming(report)) {
        return fmt::format("{}  received {}", status, format_bytes(number(ram, "transferred")));
    }
    const double page = number(ram, "page-size");
    return fmt::format("{}  pass {:.0f}  sent {}  at {}/s  remaining {} of {}  dirtied {}/s", status, passes_of(report),
                       format_bytes(number(ram, "transferred")), format_bytes(bytes_per_s(ram)),
                       format_bytes(number(ram, "remaining")), format_bytes(number(ram, "total")),
                       format_bytes(number(ram, "dirty-pages-rate") * page));
}

std::string completion_text(const Json& report) {
    const std::string bytes = format_bytes(number(ram_of(report), "transferred"));
    const double total_s = number(report, "total-time") / 1e3;
    if (is_incoming(report)) {
        return fmt::format("total time {:.3f} s, received {}", total_s, bytes);
    }
    const bool exact = report.contains("x-godwit-downtime-ns");
    const double downtime_ms = exact ? number(report, "x-godwit-downtime-ns") / 1e6 : number(report, "downtime");
    return fmt::format("total time {:.3f} s, downtime {:.{}f} ms, sent {} in {:.0f} passes", total_s, downtime_ms,
                       exact ? 2 : 0, bytes, passes_of(report));
}

void ProgressPrinter::show(const std::string& line, Clock::time_point now) {
    if (now < next_) {
        return;
    }
    if (terminal_) {
        next_ = now + std::chrono::milliseconds(200);
        // Carriage return, the line, and "erase to the end of the line".
        fmt::print("\r{}\x1b[K", line);
        line_open_ = true;
    } else {
        next_ = now + std::chrono::seconds(1);
        fmt::print("{}\n", line);
    }
    std::fflush(stdout);
}

void ProgressPrinter::finish() {
    if (line_open_) {
        fmt::print("\n");
        std::fflush(stdout);
        line_open_ = false;
    }
}

}  // namespace godwit
