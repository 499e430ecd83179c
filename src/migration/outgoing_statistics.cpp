// The figures of a migration at its source, as anybody may ask for them.
#include "migration/outgoing_session.h"

namespace godwit {

namespace {

constexpr double longest_window_s = 1;

}  // namespace

void OutgoingSession::fill_statistics(MigrationStatistics& out) const {
    const std::lock_guard lock(figures_mutex_);
    const Instant end = figures_.ended.value_or(now());
    const Instant active = figures_.active.value_or(end);
    out.total_time = end - figures_.started;
    out.transferred_bytes = figures_.ended || !writer_ ? figures_.transferred_bytes : bytes_sent();
    out.remaining_bytes = saver_.remaining_pages() * page_bytes;
    out.total_bytes = saver_.total_bytes();
    out.zero_pages = saver_.zero_pages();
    out.normal_pages = saver_.normal_pages();
    out.skipped_pages = saver_.skipped_pages();
    out.disk = disk_figures();
    if (direct_ != nullptr) {
        out.direct = direct_->figures();
    }
    if (delta_sink_) {
        out.xbzrle = figures_.xbzrle_rates;
        out.xbzrle->bytes = delta_sink_->delta_bytes();
        out.xbzrle->pages = delta_sink_->delta_pages();
        out.xbzrle->unchanged_pages = delta_sink_->unchanged_pages();
        out.xbzrle->cache_misses = delta_sink_->cache_misses();
        out.xbzrle->overflows = delta_sink_->overflows();
    }
    out.dirty_pages_per_s = figures_.dirty_pages_per_s;
    out.dirty_sync_count = figures_.dirty_sync_count;
    out.passes = figures_.passes;
    fill_rates(out);
    out.precopy_bytes = figures_.stopped ? figures_.bytes_at_stop : out.transferred_bytes;
    out.downtime_bytes = out.transferred_bytes - out.precopy_bytes;
    out.cpu_throttle_percent = figures_.cpu_throttle_percent;
    out.convergence = figures_.convergence;
    out.paused_before_switchover = figures_.paused_before_switchover;
    out.stopped_at = figures_.stopped;
    out.error = figures_.error;
    out.peer = figures_.peer;
    if (figures_.active) {
        out.setup_time = active - figures_.started;
    }
    if (figures_.stopped) {
        out.predicted_downtime = figures_.expected_downtime;
    } else if (!figures_.ended) {
        out.expected_downtime = figures_.expected_downtime;
    }
    if (!figures_.ended) {
        return;
    }
    out.running_at = figures_.running;
    if (!figures_.error) {
        out.downtime = *figures_.ended - figures_.stopped.value_or(*figures_.ended);
        const double seconds = std::chrono::duration<double>(end - active).count();
        const double rate = seconds > 0 ? static_cast<double>(out.transferred_bytes) / seconds : 0;
        out.bytes_per_s = static_cast<std::uint64_t>(rate);
        out.megabits_per_s = rate * 8 / 1e6;
    }
}

/// A thread that is in a long write closes no window: then what has been written since the last one counts. Under
/// figures_mutex_.
void OutgoingSession::fill_rates(MigrationStatistics& out) const {
    const double silent_s = std::chrono::duration<double>(now() - figures_.measured_at).count();
    if (figures_.ended || !figures_.active || silent_s <= longest_window_s) {
        out.pages_per_s = static_cast<std::uint64_t>(figures_.pages_per_s);
        out.megabits_per_s = figures_.awake_bytes_per_s * 8 / 1e6;
        out.bytes_per_s = static_cast<std::uint64_t>(figures_.bytes_per_s);
        return;
    }
    const std::uint64_t pages = saver_.sent_pages() - figures_.measured_pages;
    const std::uint64_t bytes = out.transferred_bytes - figures_.measured_bytes;
    out.pages_per_s = static_cast<std::uint64_t>(static_cast<double>(pages) / silent_s);
    out.bytes_per_s = static_cast<std::uint64_t>(static_cast<double>(bytes) / silent_s);
    out.megabits_per_s = static_cast<double>(out.bytes_per_s) * 8 / 1e6;
}

}  // namespace godwit
