#include "tools/trace_writer.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <optional>

#include "monitor/json.h"
#include "tools/trace_format.h"

namespace godwit {

namespace {

/// The members of a line, behind those that all have. Names are the program's own and need no escapes.
class Members {
public:
    void add(const char* name, std::uint64_t value) { put(R"(,"{}":{})", name, value); }
    void add(const char* name, bool value) { put(R"(,"{}":{})", name, value); }
    void add(const char* name, Duration value) { put(R"(,"{}":{})", name, value.count()); }
    void add(const char* name, Instant value) { add(name, value.time_since_epoch()); }
    /// JSON has no infinity.
    void add(const char* name, double value) { put(R"(,"{}":{:.1f})", name, std::isfinite(value) ? value : 0.0); }
    void add(const char* name, const char*) = delete;
    /// One of the program's own words.
    void add_word(const char* name, std::string_view value) { put(R"(,"{}":"{}")", name, value); }
    /// Any text.
    void add_text(const char* name, const std::string& value) { put(R"(,"{}":{})", name, to_text(Json(value))); }
    template <typename Value>
    void add(const char* name, const std::optional<Value>& value) {
        if (value) {
            add(name, *value);
        }
    }

    template <typename... Values>
    void put(fmt::format_string<const Values&...> format, const Values&... values) {
        fmt::format_to(std::back_inserter(line_), format, values...);
    }
    std::string_view line() const { return {line_.data(), line_.size()}; }

private:
    fmt::memory_buffer line_;
};

void add_figures(Members& m, const MigrationStatistics& s) {
    m.add_word("state", to_string(s.state));
    m.add("total_ns", s.total_time);
    m.add("setup_ns", s.setup_time);
    m.add("downtime_ns", s.downtime);
    m.add("stopped_at_ns", s.stopped_at);
    m.add("running_at_ns", s.running_at);
    m.add("transferred_bytes", s.transferred_bytes);
    m.add("remaining_bytes", s.remaining_bytes);
    m.add("total_bytes", s.total_bytes);
    m.add("zero_pages", s.zero_pages);
    m.add("normal_pages", s.normal_pages);
    m.add("skipped_pages", s.skipped_pages);
    if (s.xbzrle) {
        m.add("delta_pages", s.xbzrle->pages);
        m.add("delta_bytes", s.xbzrle->bytes);
    }
    if (s.disk) {
        m.add("disk_transferred_bytes", s.disk->transferred_bytes);
        m.add("disk_remaining_bytes", s.disk->remaining_bytes);
        m.add("disk_total_bytes", s.disk->total_bytes);
        m.add("disk_data_chunks", s.disk->data_chunks);
        m.add("disk_zero_chunks", s.disk->zero_chunks);
    }
    m.add("predicted_downtime_ns", s.predicted_downtime);
    m.add("dirty_sync_count", s.dirty_sync_count);
    m.add("passes", s.passes);
    m.add("precopy_bytes", s.precopy_bytes);
    m.add("downtime_bytes", s.downtime_bytes);
    m.add_text("peer", s.peer);
    if (s.error) {
        m.add_word("error_code", to_string(s.error->code));
        m.add_text("error", s.error->message);
        m.add_text("error_hint", s.error->hint);
    }
}

/// QMP shows `handing_over` as `active`; a trace tells them apart.
std::string_view state_word(MigrationState state) {
    return state == MigrationState::handing_over ? trace_format::handing_over : to_string(state);
}

bool is_end(MigrationState state) {
    return state == MigrationState::completed || state == MigrationState::failed || state == MigrationState::cancelled;
}

}  // namespace

template <typename Add>
void TraceWriter::write(const char* event, Add add) {
    Members members;
    members.put(R"({{"t_ns":{},"role":"{}","event":"{}")", file_.clock().now().time_since_epoch().count(), role_,
                event);
    add(members);
    members.put("}}\n");
    file_.write(members.line());
}

Status TraceWriter::state_changed(MigrationState from, MigrationState to) {
    write(trace_format::state, [&](Members& m) {
        m.add_word("from", state_word(from));
        m.add_word("to", state_word(to));
    });
    if (is_end(to)) {
        write_end();
    }
    file_.flush();
    return {};
}

void TraceWriter::write_end() {
    const MigrationStatistics statistics = statistics_();
    write(trace_format::end, [&](Members& m) { add_figures(m, statistics); });
}

void TraceWriter::pass_started(std::uint64_t pass) {
    write(trace_format::pass, [&](Members& m) { m.add("pass", pass); });
}

void TraceWriter::handover_step(HandoverStep step) {
    write(trace_format::step, [&](Members& m) { m.add_word("step", to_string(step)); });
    file_.flush();
}

void TraceWriter::bitmap_synced(const SyncReport& report) {
    write(trace_format::sync, [&](Members& m) {
        m.add("dirtied_pages", report.dirtied_pages);
        m.add("remaining_bytes", report.remaining_bytes);
        m.add("period_ns", report.period);
    });
}

void TraceWriter::window_closed(const WindowReport& report) {
    write(trace_format::window, [&](Members& m) {
        m.add("bytes", report.bytes);
        m.add("pages", report.pages);
        m.add("remaining_bytes", report.remaining_bytes);
        m.add("length_ns", report.length);
        m.add("asleep_ns", report.asleep);
        if (report.disk) {
            m.add("disk_bytes", report.disk->bytes);
            m.add("disk_remaining_bytes", report.disk->remaining_bytes);
        }
    });
}

void TraceWriter::switchover_decided(const SwitchoverReport& report) {
    write(trace_format::switchover, [&](Members& m) {
        m.add("remaining_bytes", report.remaining_bytes);
        m.add("device_bytes", report.device_bytes);
        m.add("fixed_cost_ns", report.fixed_cost);
        m.add("bandwidth_bytes_per_s", report.bandwidth_bytes_per_s);
        m.add("dirty_bytes_per_s", report.dirty_bytes_per_s);
        m.add("downtime_limit_ns", report.downtime_limit);
        m.add("switchover_timeout_ns", report.switchover_timeout);
        m.add("elapsed_ns", report.elapsed);
        m.add("since_first_fit_ns", report.since_first_fit);
        m.add("fits", report.fits);
        m.add("switch_over", report.switch_over);
        m.add("expected_downtime_ns", report.expected_downtime);
    });
}

void TraceWriter::convergence_changed(const Convergence& convergence) {
    write(trace_format::convergence, [&](Members& m) {
        m.add_word("verdict", to_string(convergence.verdict));
        m.add_text("advice", convergence.advice);
    });
}

void TraceWriter::throttle_changed(std::uint32_t percent) {
    write(trace_format::throttle, [&](Members& m) { m.add("percent", std::uint64_t{percent}); });
}

}  // namespace godwit
