#include "monitor/migration_report.h"

#include <chrono>
#include <variant>

#include "godwit/error_table.h"
#include "godwit/units.h"
#include "io/address.h"

namespace godwit {

namespace {

std::int64_t in_ms(Duration duration) {
    return std::chrono::round<std::chrono::milliseconds>(duration).count();
}

/// Rounded up: a prediction is never 0.
std::int64_t whole_ms(Duration duration) {
    return std::chrono::ceil<std::chrono::milliseconds>(duration).count();
}

std::string_view status_name(const MigrationStatistics& statistics) {
    const bool after_pause = statistics.state == MigrationState::handing_over && statistics.paused_before_switchover;
    return to_string(after_pause ? MigrationState::device : statistics.state);
}

Json ram_report(const MigrationStatistics& s) {
    return {
        {"transferred", s.transferred_bytes},
        {"remaining", s.remaining_bytes},
        {"total", s.total_bytes},
        {"duplicate", s.zero_pages},
        {"skipped", s.skipped_pages},
        {"normal", s.normal_pages},
        {"normal-bytes", s.normal_pages * page_bytes},
        {"dirty-pages-rate", s.dirty_pages_per_s},
        {"mbps", s.megabits_per_s},
        {"x-godwit-bytes-per-second", s.bytes_per_s},
        {"dirty-sync-count", s.dirty_sync_count},
        {"postcopy-requests", 0},
        {"page-size", page_bytes},
        {"multifd-bytes", 0},
        {"pages-per-second", s.pages_per_s},
        {"precopy-bytes", s.precopy_bytes},
        {"downtime-bytes", s.downtime_bytes},
        {"postcopy-bytes", 0},
        {"dirty-sync-missed-zero-copy", 0},
    };
}

void add_times(Json& report, const MigrationStatistics& s) {
    report["total-time"] = in_ms(s.total_time);
    if (s.setup_time) {
        report["setup-time"] = in_ms(*s.setup_time);
    }
    if (s.downtime) {
        report["downtime"] = in_ms(*s.downtime);
        report["x-godwit-downtime-ns"] = s.downtime->count();
    }
    if (s.expected_downtime) {
        report["expected-downtime"] = whole_ms(*s.expected_downtime);
    }
    if (s.predicted_downtime) {
        report["x-godwit-predicted-downtime-ns"] = s.predicted_downtime->count();
    }
    if (s.stopped_at) {
        report["x-godwit-stopped-at-ns"] = s.stopped_at->time_since_epoch().count();
    }
    if (s.running_at) {
        report["x-godwit-running-at-ns"] = s.running_at->time_since_epoch().count();
    }
}

Json xbzrle_report(const XbzrleStatistics& s) {
    return {
        {"cache-size", s.cache_bytes},
        {"bytes", s.bytes},
        {"pages", s.pages},
        {"cache-miss", s.cache_misses},
        {"cache-miss-rate", s.cache_miss_rate},
        {"encoding-rate", s.encoding_rate},
        {"overflow", s.overflows},
        {"x-godwit-unchanged", s.unchanged_pages},
    };
}

/// QEMU sends what has no meaning for disks as 0.
Json disk_report(const DiskStatistics& s) {
    Json report = {
        {"transferred", s.transferred_bytes},    {"remaining", s.remaining_bytes},        {"total", s.total_bytes},
        {"x-godwit-data-chunks", s.data_chunks}, {"x-godwit-zero-chunks", s.zero_chunks},
    };
    for (const char* const name :
         {"duplicate", "skipped", "normal", "normal-bytes", "dirty-pages-rate", "mbps", "dirty-sync-count",
          "postcopy-requests", "page-size", "multifd-bytes", "pages-per-second", "precopy-bytes", "downtime-bytes",
          "postcopy-bytes", "dirty-sync-missed-zero-copy"}) {
        report[name] = 0;
    }
    return report;
}

Json direct_report(const DirectPageFigures& s) {
    return {{"transport", s.transport},
            {"registrations", s.registrations},
            {"registered", s.registered_bytes},
            {"pin-all", s.pin_all}};
}

void add_error(Json& report, const Error& error) {
    report["error-desc"] = error.message;
    report["x-godwit-error-code"] = to_string(error.code);
    report["x-godwit-error-hint"] = advice_for(error);
}

Json internet_address_json(const std::string& host, std::uint16_t port) {
    const bool ipv6 = host.find(':') != std::string::npos;
    return {{"type", "inet"}, {"host", host}, {"port", std::to_string(port)}, {ipv6 ? "ipv6" : "ipv4", true}};
}

}  // namespace

Json convergence_report(const Convergence& convergence) {
    Json report = {{"verdict", to_string(convergence.verdict)}};
    if (convergence.verdict != ConvergenceVerdict::unknown) {
        report["smallest-remaining"] = convergence.smallest_remaining_bytes;
    }
    if (!convergence.advice.empty()) {
        report["advice"] = convergence.advice;
    }
    return report;
}

std::optional<Json> socket_address_json(const std::string& uri) {
    const auto address = parse_address(uri);
    if (!address) {
        return std::nullopt;
    }
    if (const auto* tcp = std::get_if<TcpAddress>(&*address)) {
        return internet_address_json(tcp->host, tcp->port);
    }
    // Where the control connection is; QMP knows no other type for it.
    if (const auto* rdma = std::get_if<RdmaAddress>(&*address)) {
        return internet_address_json(rdma->host, rdma->port);
    }
    if (const auto* local = std::get_if<UnixAddress>(&*address)) {
        return Json{{"type", "unix"}, {"path", local->path}};
    }
    return std::nullopt;
}

Json migration_report(const MigrationStatistics& statistics, const std::optional<std::string>& listening_address,
                      bool incoming, const std::vector<std::string>& blocked) {
    Json report = Json::object();
    if (!blocked.empty()) {
        report["blocked-reasons"] = blocked;
    }
    if (listening_address) {
        if (auto address = socket_address_json(*listening_address)) {
            report["socket-address"] = Json::array({std::move(*address)});
        }
    }
    if (statistics.state == MigrationState::none) {
        return report;
    }
    report["status"] = status_name(statistics);
    add_times(report, statistics);
    report["ram"] = ram_report(statistics);
    if (statistics.disk) {
        report["disk"] = disk_report(*statistics.disk);
    }
    if (statistics.xbzrle) {
        report["xbzrle-cache"] = xbzrle_report(*statistics.xbzrle);
    }
    if (statistics.direct) {
        report["rdma"] = direct_report(*statistics.direct);
    }
    if (statistics.cpu_throttle_percent) {
        report["cpu-throttle-percentage"] = *statistics.cpu_throttle_percent;
    }
    report["x-godwit-incoming"] = incoming;
    if (!incoming) {
        report["convergence"] = convergence_report(statistics.convergence);
        report["x-godwit-passes"] = statistics.passes;
    }
    if (!statistics.peer.empty()) {
        report["x-godwit-peer"] = statistics.peer;
    }
    if (statistics.error) {
        add_error(report, *statistics.error);
    }
    return report;
}

}  // namespace godwit
