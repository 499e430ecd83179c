#include <algorithm>
#include <utility>

#include "trial.h"

namespace godwit::sim {
namespace {

using std::chrono::milliseconds;

/// Nothing that answers at once may take longer, peer or no peer.
constexpr Duration at_once = milliseconds(50);
constexpr Duration longest_poll_pause = milliseconds(400);

/// Counters that only grow.
constexpr std::pair<const char*, std::uint64_t MigrationStatistics::*> counters[] = {
    {"transferred bytes", &MigrationStatistics::transferred_bytes},
    {"zero pages", &MigrationStatistics::zero_pages},
    {"normal pages", &MigrationStatistics::normal_pages},
    {"the dirty sync count", &MigrationStatistics::dirty_sync_count},
    {"passes", &MigrationStatistics::passes},
    {"precopy bytes", &MigrationStatistics::precopy_bytes},
    {"downtime bytes", &MigrationStatistics::downtime_bytes},
};

}  // namespace

void Trial::poll_source() {
    Duration pause = plan_.poll_interval;
    MigrationStatistics last;
    Duration paused_until{};
    while (armed_ && !source_over()) {
        source_->with_outgoing([&](Migration& migration) {
            const Duration asked_at = now();
            const MigrationStatistics figures = migration.statistics();
            const bool both = migration.in_setup() && migration.is_active();
            if (now() - asked_at > at_once && !source_->crashed()) {
                world_->violation(fmt::format("asking for statistics took {} ms", in_ms(now() - asked_at)));
            }
            if (both && plan_.style.preempt_percent == 0) {
                world_->violation("in_setup and is_active at once");
            }
            if (figures.state != MigrationState::pre_switchover) {
                paused_until = now() + plan_.operator_pause;
            } else if (now() >= paused_until) {
                // A cancel, or the end of the peer, may be faster.
                static_cast<void>(migration.continue_switchover());
            }
            look_at(figures);
            check_figures(last, figures);
            last = figures;
        });
        scheduler().sleep_for(pause);
        pause = std::min<Duration>(pause + pause / 4, longest_poll_pause);
    }
}

void Trial::look_at(const MigrationStatistics& figures) {
    const XbzrleStatistics deltas = figures.xbzrle.value_or(XbzrleStatistics{});
    seen_.deltas = seen_.deltas || deltas.pages > 0;
    seen_.unchanged_pages = seen_.unchanged_pages || deltas.unchanged_pages > 0;
    seen_.skipped_zeros = seen_.skipped_zeros || figures.skipped_pages > 0;
    seen_.throttle = seen_.throttle || figures.cpu_throttle_percent.has_value();
    seen_.pause_before_switchover = seen_.pause_before_switchover || figures.paused_before_switchover;
    const DirectPageFigures direct = figures.direct.value_or(DirectPageFigures{});
    seen_.direct_pages = seen_.direct_pages || direct.pages > 0;
    seen_.everything_pinned = seen_.everything_pinned || (direct.pin_all && direct.pages > 0);
    seen_.registration_given_back = seen_.registration_given_back || direct.registered_bytes < last_registered_bytes_;
    last_registered_bytes_ = direct.registered_bytes;
    seen_.stall = seen_.stall || figures.convergence.verdict == ConvergenceVerdict::stalled;
}

void Trial::measure_precopy() {
    const bool completed = source_->outgoing_observer.state() == MigrationState::completed;
    if (completed && !source_->crashed() && source_->machine.stopped_at()) {
        source_->with_outgoing([&](Migration& migration) { precopy_bytes_ = migration.statistics().precopy_bytes; });
        precopy_time_ = *source_->machine.stopped_at() - source_->outgoing_observer.setup_at();
    }
}

/// Whenever somebody looks: counters have not gone backwards, and each page has been sent or still is to be sent.
void Trial::check_figures(const MigrationStatistics& last, const MigrationStatistics& figures) {
    for (const auto& [name, counter] : counters) {
        if (figures.*counter < last.*counter) {
            world_->violation(fmt::format("{} went backwards, from {} to {}", name, last.*counter, figures.*counter));
        }
    }
    const std::uint64_t total = source_->memory.total_pages() * page_bytes;
    if (figures.total_bytes != 0 && figures.total_bytes != total) {
        world_->violation(fmt::format("total bytes are {}, memory has {}", figures.total_bytes, total));
    }
    if (figures.remaining_bytes > total) {
        world_->violation(fmt::format("{} bytes of {} remain", figures.remaining_bytes, total));
    }
    const XbzrleStatistics deltas = figures.xbzrle.value_or(XbzrleStatistics{});
    const std::uint64_t sent =
        (figures.normal_pages + figures.zero_pages + figures.skipped_pages + deltas.pages + deltas.unchanged_pages) *
        page_bytes;
    if (figures.passes > 0 && sent + figures.remaining_bytes < total) {
        world_->violation(
            fmt::format("{} bytes were sent and {} remain, but memory has {}", sent, figures.remaining_bytes, total));
    }
}

}  // namespace godwit::sim
