#include "tools/trace_reader.h"

#include <fmt/format.h>

#include <utility>

#include "base/printable.h"
#include "tools/trace_format.h"
#include "tools/trace_members.h"

namespace godwit {

namespace {

SyncReport read_sync(TraceMembers& m) {
    return {m.count("dirtied_pages"), m.count("remaining_bytes"), m.time("period_ns")};
}

WindowReport read_window(TraceMembers& m) {
    WindowReport report{m.count("bytes"), m.count("pages"), m.count("remaining_bytes"), m.time("length_ns"),
                        m.time("asleep_ns")};
    if (m.has("disk_bytes")) {
        report.disk = DiskWindow{m.count("disk_bytes"), m.count("disk_remaining_bytes")};
    }
    return report;
}

SwitchoverReport read_switchover(TraceMembers& m) {
    SwitchoverReport report;
    report.remaining_bytes = m.count("remaining_bytes");
    report.device_bytes = m.count("device_bytes");
    report.fixed_cost = m.time("fixed_cost_ns");
    report.bandwidth_bytes_per_s = m.number("bandwidth_bytes_per_s");
    report.dirty_bytes_per_s = m.number("dirty_bytes_per_s");
    report.downtime_limit = m.time("downtime_limit_ns");
    report.switchover_timeout = m.time("switchover_timeout_ns");
    report.elapsed = m.time("elapsed_ns");
    report.since_first_fit = m.time_if_any("since_first_fit_ns");
    report.fits = m.flag("fits");
    report.switch_over = m.flag("switch_over");
    report.expected_downtime = m.time_if_any("expected_downtime_ns");
    return report;
}

TraceEnd read_end(TraceMembers& m) {
    TraceEnd end;
    end.state = m.text("state");
    end.total = m.time("total_ns");
    end.setup = m.time_if_any("setup_ns");
    end.downtime = m.time_if_any("downtime_ns");
    end.transferred_bytes = m.count("transferred_bytes");
    end.downtime_bytes = m.count("downtime_bytes");
    end.zero_pages = m.count("zero_pages");
    end.normal_pages = m.count("normal_pages");
    end.passes = m.count("passes");
    end.disk_transferred_bytes = m.count_if_any("disk_transferred_bytes");
    end.peer = m.text_if_any("peer");
    end.error_code = m.text_if_any("error_code");
    end.error = m.text_if_any("error");
    end.error_hint = m.text_if_any("error_hint");
    return end;
}

/// False: the kind is not known.
bool read_what(const std::string& kind, TraceMembers& m, TraceEvent& event) {
    if (kind == trace_format::state) {
        event.what = TraceState{m.text("from"), m.text("to")};
    } else if (kind == trace_format::pass) {
        event.what = TracePass{m.count("pass")};
    } else if (kind == trace_format::sync) {
        event.what = read_sync(m);
    } else if (kind == trace_format::window) {
        event.what = read_window(m);
    } else if (kind == trace_format::throttle) {
        event.what = TraceThrottle{m.count("percent")};
    } else if (kind == trace_format::convergence) {
        event.what = TraceConvergence{m.text("verdict"), m.text_if_any("advice")};
    } else if (kind == trace_format::switchover) {
        event.what = read_switchover(m);
    } else if (kind == trace_format::step) {
        event.what = TraceStep{m.text("step")};
    } else if (kind == trace_format::end) {
        event.what = read_end(m);
    } else {
        return false;
    }
    return true;
}

}  // namespace

Status TraceReader::feed(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        const std::string_view piece = bytes.substr(0, end);
        if (pending_.size() + piece.size() > max_line_bytes) {
            return fail(ErrorCode::stream_corrupt,
                        fmt::format("line {} is longer than {} bytes: this is no trace", lines_ + 1, max_line_bytes));
        }
        pending_ += piece;
        if (end == std::string_view::npos) {
            return {};
        }
        const std::string line = std::exchange(pending_, {});
        if (Status taken = take_line(line); !taken) {
            return taken;
        }
        bytes.remove_prefix(end + 1);
    }
    return {};
}

Result<Trace> TraceReader::finish() {
    if (!pending_.empty()) {
        const std::uint64_t number = lines_ + 1;
        if (!take_line(pending_)) {
            if (number == 1) {
                return fail(ErrorCode::stream_truncated, "line 1 is incomplete: this is no trace");
            }
            trace_.cut_line = number;
        }
    }
    if (lines_ == 0) {
        return fail(ErrorCode::stream_truncated, "the trace is empty");
    }
    return std::move(trace_);
}

Status TraceReader::take_line(std::string_view text) {
    ++lines_;
    if (lines_ > max_lines) {
        return fail(ErrorCode::stream_corrupt, fmt::format("the trace has more than {} lines", max_lines));
    }
    const Json line = Json::parse(text, nullptr, false);
    if (!line.is_object()) {
        return fail(ErrorCode::stream_corrupt, fmt::format("line {} is no JSON object", lines_));
    }
    Status taken = lines_ == 1 ? take_header(line) : take_event(line);
    if (!taken) {
        return fail(ErrorCode::stream_corrupt, fmt::format("line {}: {}", lines_, printable(taken.error().message)),
                    taken.error().hint);
    }
    return {};
}

Status TraceReader::take_header(const Json& line) {
    const auto mark = line.find(trace_format::mark);
    if (mark == line.end()) {
        return fail(ErrorCode::stream_corrupt, "this is no trace of a godwit",
                    "a trace is what 'godwit run --trace FILE' writes");
    }
    if (*mark != trace_format::version) {
        return fail(ErrorCode::stream_corrupt, fmt::format("the trace has format {}; this godwit reads {}",
                                                           to_text(*mark).substr(0, 20), trace_format::version));
    }
    TraceMembers members(line);
    trace_.header = {members.text("version"), members.text("role"), members.text("name"), members.text("wall_clock")};
    return members.complaint().empty() ? Status() : fail(ErrorCode::stream_corrupt, members.complaint());
}

Status TraceReader::take_event(const Json& line) {
    TraceMembers members(line);
    TraceEvent event;
    event.at = members.time("t_ns");
    const std::string role = members.text("role");
    const std::string kind = members.text("event");
    const bool known = members.complaint().empty() && read_what(kind, members, event);
    if (!members.complaint().empty()) {
        return fail(ErrorCode::stream_corrupt, members.complaint());
    }
    if (role != trace_format::source && role != trace_format::destination) {
        return fail(ErrorCode::stream_corrupt, "'role' is neither source nor destination");
    }
    if (known) {
        attempt_for(role, event).events.push_back(std::move(event));
    }
    return {};
}

/// Each transition to `setup` begins an attempt; the two roles of one program may overlap.
TraceAttempt& TraceReader::attempt_for(const std::string& role, const TraceEvent& event) {
    std::optional<std::size_t>& index = role == trace_format::source ? last_source_ : last_destination_;
    const auto* state = std::get_if<TraceState>(&event.what);
    if (!index || (state != nullptr && state->to == "setup")) {
        index = trace_.attempts.size();
        trace_.attempts.push_back(TraceAttempt{role, {}});
    }
    return trace_.attempts[*index];
}

}  // namespace godwit
