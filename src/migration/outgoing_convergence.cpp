// What the source makes of its measurements: when the guest is stopped, and what is done about a guest that writes too
// fast.
#include <algorithm>
#include <cmath>
#include <utility>

#include "migration/outgoing_session.h"
#include "migration/switchover_policy.h"

namespace godwit {

namespace {

/// Auto-converge looks so often, so that with the time for a look it acts every 500 ms at least.
constexpr Duration throttle_period = std::chrono::milliseconds(450);
/// Stopping and starting a guest, without the messages to and fro.
constexpr Duration stop_and_start = std::chrono::milliseconds(1);

}  // namespace

void OutgoingSession::start_counting_dirty_pages(Instant at) {
    pass_began_ = throttle_period_began_ = collected_at_ = at;
    dirty_rate_.start(at);
    throttle_period_bytes_ = memory_bytes_sent();
    update([&](Figures& f) {
        f.measured_at = at;
        f.measured_bytes = bytes_sent();
        f.measured_pages = saver_.sent_pages();
    });
}

/// The marks of the pages written since the last time become pages to be sent.
Status OutgoingSession::collect() {
    Result<PageCount> dirtied;
    {
        const MachineLock lock(environment_.machine);
        dirtied = saver_.collect();
    }
    if (!dirtied) {
        return fail(dirtied.error());
    }
    const Instant at = now();
    pass_dirtied_ += *dirtied;
    throttle_period_dirtied_ += *dirtied;
    dirty_rate_.collected(at, *dirtied);
    update([&](Figures& f) {
        ++f.dirty_sync_count;
        f.dirty_pages_per_s = static_cast<std::uint64_t>(dirty_rate_.pages_per_s());
    });
    states_.bitmap_synced({dirtied->value(), saver_.remaining_pages() * page_bytes, at - collected_at_});
    collected_at_ = at;
    adjust_throttle(at);
    return {};
}

/// A pass may last minutes: too long for auto-converge.
Status OutgoingSession::look_within_pass() {
    if (!parameters_.auto_converge || now() - throttle_period_began_ < throttle_period) {
        return {};
    }
    return collect();
}

void OutgoingSession::adjust_throttle(Instant at) {
    if (!parameters_.auto_converge || throttle_refused_ || at - throttle_period_began_ < throttle_period) {
        return;
    }
    const std::uint64_t bytes = memory_bytes_sent();
    const unsigned before = throttle_.percent();
    const unsigned percent = throttle_.decide(
        parameters_, {.dirtied_bytes = std::exchange(throttle_period_dirtied_, PageCount(0)).value() * page_bytes,
                      .transferred_bytes = bytes - std::exchange(throttle_period_bytes_, bytes)});
    throttle_period_began_ = at;
    if (percent == before) {
        return;
    }
    if (!environment_.machine.set_cpu_throttle(percent)) {
        throttle_refused_ = true;
        log(LogLevel::warning, "auto-converge: this machine's virtual CPUs cannot be slowed down");
        return;
    }
    throttle_percent_ = percent;
    update([&](Figures& f) { f.cpu_throttle_percent = percent; });
    states_.throttle_changed(percent);
}

void OutgoingSession::lift_throttle() {
    if (std::exchange(throttle_percent_, 0U) > 0) {
        environment_.machine.set_cpu_throttle(0);
        update([&](Figures& f) { f.cpu_throttle_percent.reset(); });
        states_.throttle_changed(0);
    }
}

/// All that has been sent is there. Returns whether the guest is to be stopped now.
Result<bool> OutgoingSession::finish_pass() {
    measure_page_cost(now());
    if (Status drained = drain_pass(); !drained) {
        return fail(drained.error());
    }
    if (Status flushed = flush_both_sides(); !flushed) {
        return fail(flushed.error());
    }
    if (Status collected = collect(); !collected) {
        return fail(collected.error());
    }
    const Instant at = now();
    const double pass_s = std::max(1e-6, std::chrono::duration<double>(at - pass_began_).count());
    pass_began_ = at;
    pass_dirty_pages_per_s_ = static_cast<double>(std::exchange(pass_dirtied_, PageCount(0)).value()) / pass_s;
    pass_dirty_disk_bytes_per_s_ = static_cast<double>(remaining_disk_bytes()) / pass_s;
    measure(at);
    const XbzrleStatistics rates = xbzrle_rates();
    update([&](Figures& f) { f.xbzrle_rates = rates; });
    return is_time_to_switch_over(at);
}

/// What a page took in the pass that has been sent. With deltas it costs less of the link than its size, and it takes
/// time to find them; without, the size is what the rest may cost, whatever zeros were among the last pages.
void OutgoingSession::measure_page_cost(Instant sent_at) {
    const std::uint64_t bytes = memory_bytes_sent();
    const std::uint64_t pages = saver_.sent_pages();
    const double pass_bytes = static_cast<double>(bytes - std::exchange(cost_bytes_, bytes));
    const double pass_pages = static_cast<double>(pages - std::exchange(cost_pages_, pages));
    const Duration awake = sent_at - pass_began_ - std::exchange(pass_asleep_, Duration::zero()) -
                           std::exchange(pass_disk_time_, Duration::zero());
    best_bytes_per_s_ = std::max(best_bytes_per_s_, meter_.bytes_per_s());
    if (delta_sink_ && pass_ > 1 && pass_pages > 0) {
        page_cost_bytes_ = std::min(pass_bytes / pass_pages, static_cast<double>(page_bytes));
        page_cost_s_ = std::max(0.0, std::chrono::duration<double>(awake).count() / pass_pages);
    }
}

SwitchoverInputs OutgoingSession::switchover_inputs(Instant at) {
    SwitchoverInputs inputs;
    inputs.policy = parameters_.switchover_policy;
    const auto pages = static_cast<double>(saver_.remaining_pages());
    inputs.remaining_bytes = static_cast<std::uint64_t>(std::ceil(pages * page_cost_bytes_)) + remaining_disk_bytes();
    inputs.least_transfer_time =
        std::chrono::duration_cast<Duration>(std::chrono::duration<double>(pages * page_cost_s_));
    inputs.device_bytes = device_bytes_;
    // Few deltas do not show what the link can take; that they take long shows in the time of a page.
    inputs.bandwidth_bytes_per_s = delta_sink_ && pass_ > 1 ? best_bytes_per_s_ : meter_.bytes_per_s();
    if (const std::uint64_t given = parameters_.avail_switchover_bandwidth_bytes_per_s; given != 0) {
        inputs.bandwidth_bytes_per_s = static_cast<double>(given);
    }
    inputs.fixed_cost = stop_and_start + round_trips_ * round_trip_ + flush_time_;
    inputs.dirty_bytes_per_s = pass_dirty_pages_per_s_ * page_cost_bytes_ + pass_dirty_disk_bytes_per_s_;
    inputs.downtime_limit = std::chrono::milliseconds(parameters_.downtime_limit_ms);
    inputs.switchover_timeout = std::chrono::milliseconds(parameters_.switchover_timeout_ms);
    update([&](Figures& f) { inputs.elapsed = at - f.active.value_or(at); });
    if (first_fit_) {
        inputs.since_first_fit = at - *first_fit_;
    }
    return inputs;
}

bool OutgoingSession::is_time_to_switch_over(Instant at) {
    const SwitchoverInputs inputs = switchover_inputs(at);
    const SwitchoverDecision decision = decide_switchover(inputs);
    if (decision.fits && !first_fit_) {
        first_fit_ = at;
    }
    states_.switchover_decided(report_of(inputs, decision));
    predict(decision);
    if (!decision.switch_over) {
        watch_convergence(inputs, decision);
    }
    return decision.switch_over;
}

void OutgoingSession::predict(const SwitchoverDecision& decision) {
    if (decision.expected_downtime != Duration::max()) {
        update([&](Figures& f) { f.expected_downtime = decision.expected_downtime; });
    }
}

void OutgoingSession::watch_convergence(const SwitchoverInputs& inputs, const SwitchoverDecision& decision) {
    const Convergence result = convergence_.after_pass(
        {.elapsed = inputs.elapsed,
         .remaining_bytes = saver_.remaining_pages() * page_bytes + remaining_disk_bytes(),
         .transfer_time = decision.transfer_time,
         .fixed_cost = inputs.fixed_cost,
         .bandwidth_bytes_per_s = inputs.bandwidth_bytes_per_s,
         .dirty_bytes_per_s = pass_dirty_pages_per_s_ * static_cast<double>(page_bytes) + pass_dirty_disk_bytes_per_s_,
         .throttle_percent = throttle_percent_},
        parameters_);
    ConvergenceVerdict before = ConvergenceVerdict::unknown;
    update([&](Figures& f) { before = std::exchange(f.convergence, result).verdict; });
    if (before == result.verdict) {
        return;
    }
    if (result.verdict == ConvergenceVerdict::stalled) {
        log(LogLevel::warning, "the migration does not converge: " + result.advice);
    }
    states_.convergence_changed(result);
}

/// Over the pass that has ended.
XbzrleStatistics OutgoingSession::xbzrle_rates() {
    XbzrleStatistics rates;
    if (!delta_sink_) {
        return rates;
    }
    const DeltaCounts before =
        std::exchange(last_deltas_, DeltaCounts{delta_sink_->cache_misses(), delta_sink_->delta_pages(),
                                                delta_sink_->delta_bytes(), saver_.sent_pages()});
    const auto ratio = [](std::uint64_t part, std::uint64_t whole) {
        return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
    };
    rates.cache_bytes = delta_sink_->cache_size().value();
    rates.cache_miss_rate = ratio(last_deltas_.misses - before.misses, last_deltas_.sent_pages - before.sent_pages);
    rates.encoding_rate = ratio((last_deltas_.pages - before.pages) * page_bytes, last_deltas_.bytes - before.bytes);
    return rates;
}

void OutgoingSession::measure(Instant at) {
    const std::uint64_t bytes = bytes_sent();
    const std::uint64_t pages = saver_.sent_pages();
    const bool window_closed = meter_.update(at, bytes, pages);
    if (window_closed) {
        update([&](Figures& f) {
            f.awake_bytes_per_s = meter_.awake_bytes_per_s();
            f.bytes_per_s = meter_.bytes_per_s();
            f.pages_per_s = meter_.pages_per_s();
            f.measured_at = at;
            f.measured_bytes = bytes;
            f.measured_pages = pages;
        });
    }
    if (window_closed) {
        states_.window_closed(window_.close(at, bytes, pages, saver_.remaining_pages() * page_bytes, disk_figures()));
        if (!state_before_stop_) {
            predict(decide_switchover(switchover_inputs(at)));
        }
    }
}

}  // namespace godwit
