#include "cli/migration_sample.h"

#include <algorithm>
#include <cmath>

#include "base/printable.h"

namespace godwit {

namespace {

std::optional<double> number_if_any(const Json& object, const char* name) {
    const auto found = object.is_object() ? object.find(name) : object.end();
    if (found == object.end() || !found->is_number() || !std::isfinite(found->get<double>())) {
        return std::nullopt;
    }
    return found->get<double>();
}

double number(const Json& object, const char* name, double absent = 0) {
    return number_if_any(object, name).value_or(absent);
}

std::string text(const Json& object, const char* name) {
    const auto found = object.is_object() ? object.find(name) : object.end();
    return found != object.end() && found->is_string() ? printable(found->get<std::string>()) : "";
}

Json member(const Json& object, const char* name) {
    const auto found = object.is_object() ? object.find(name) : object.end();
    return found != object.end() ? *found : Json();
}

void take_ram(const Json& ram, MigrationSample& sample) {
    sample.transferred_bytes = number(ram, "transferred");
    sample.remaining_bytes = number(ram, "remaining");
    sample.total_bytes = number(ram, "total");
    sample.page_bytes = number(ram, "page-size", 4096);
    sample.received_pages = number(ram, "duplicate") + number(ram, "normal");
    // godwit's mbps leaves out the time asleep for a limit.
    sample.megabits_per_s = ram.contains("x-godwit-bytes-per-second")
                                ? number(ram, "x-godwit-bytes-per-second") * 8 / 1e6
                                : number(ram, "mbps");
    sample.pages_per_s = number(ram, "pages-per-second");
    sample.dirty_bytes_per_s = number(ram, "dirty-pages-rate") * sample.page_bytes;
    sample.passes = number(ram, "dirty-sync-count");
}

void take_disk(const Json& disk, MigrationSample& sample) {
    sample.has_disks = disk.is_object();
    sample.disk_transferred_bytes = number(disk, "transferred");
    sample.disk_remaining_bytes = number(disk, "remaining");
    sample.disk_total_bytes = number(disk, "total");
}

void push(std::vector<double>& values, double value) {
    if (values.size() >= MigrationCourse::most_values) {
        values.erase(values.begin());
    }
    values.push_back(value);
}

}  // namespace

double MigrationSample::fraction() const {
    if (status == "completed") {
        return 1;
    }
    if (total_bytes <= 0) {
        return 0;
    }
    const double received = received_pages * page_bytes + std::min(disk_transferred_bytes, disk_total_bytes);
    const double all = total_bytes + disk_total_bytes;
    const double done = incoming ? received : all - remaining_bytes - disk_remaining_bytes;
    return std::clamp(done / all, 0.0, 1.0);
}

MigrationSample parse_migration(const Json& report) {
    MigrationSample sample;
    sample.status = text(report, "status");
    sample.incoming = member(report, "x-godwit-incoming") == true;
    take_ram(member(report, "ram"), sample);
    take_disk(member(report, "disk"), sample);
    sample.passes = number(report, "x-godwit-passes", sample.passes);
    sample.expected_downtime_ms = number_if_any(report, "expected-downtime");
    sample.downtime_ms = number_if_any(report, "downtime");
    if (const auto exact_ns = number_if_any(report, "x-godwit-downtime-ns")) {
        sample.downtime_ms = *exact_ns / 1e6;
    }
    sample.total_time_ms = number_if_any(report, "total-time");
    sample.throttle_percent = number_if_any(report, "cpu-throttle-percentage");
    const Json convergence = member(report, "convergence");
    sample.verdict = text(convergence, "verdict");
    sample.advice = text(convergence, "advice");
    sample.error = text(report, "error-desc");
    sample.error_code = text(report, "x-godwit-error-code");
    sample.error_hint = text(report, "x-godwit-error-hint");
    return sample;
}

void MigrationCourse::add(const MigrationSample& sample) {
    if (sample.status == "setup" || sample.transferred_bytes < transferred_bytes_) {
        remaining_.clear();
        dirtied_.clear();
    }
    transferred_bytes_ = sample.transferred_bytes;
    if (sample.moves()) {
        push(remaining_, sample.remaining_bytes + sample.disk_remaining_bytes);
        push(dirtied_, sample.dirty_bytes_per_s);
    }
}

}  // namespace godwit
