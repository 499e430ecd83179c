#include "migration/switchover_policy.h"

#include <algorithm>

namespace godwit {
namespace {

constexpr Duration worthwhile_saving = std::chrono::milliseconds(1);
/// Below this part of the time for the data a pass is not worth its while: the guest writes nearly as fast as the link
/// is.
constexpr int worthwhile_part = 8;
constexpr Duration least_patience = std::chrono::milliseconds(100);
constexpr double max_seconds = 1e9;

Duration from_seconds(double seconds) {
    return Duration(static_cast<Duration::rep>(std::clamp(seconds, 0.0, max_seconds) * 1e9));
}

}  // namespace

Duration transfer_time(std::uint64_t bytes, double bytes_per_s) {
    if (bytes == 0) {
        return Duration::zero();
    }
    return bytes_per_s > 0 ? from_seconds(static_cast<double>(bytes) / bytes_per_s) : Duration::max();
}

SwitchoverDecision decide_switchover(const SwitchoverInputs& in) {
    if (in.bandwidth_bytes_per_s <= 0 && in.remaining_bytes > 0) {
        return {.expected_downtime = Duration::max(), .transfer_time = Duration::max()};
    }
    SwitchoverDecision decision;
    decision.transfer_time = std::max(
        in.least_transfer_time, in.bandwidth_bytes_per_s <= 0
                                    ? Duration::zero()
                                    : transfer_time(in.remaining_bytes + in.device_bytes, in.bandwidth_bytes_per_s));
    decision.expected_downtime = decision.transfer_time + in.fixed_cost;
    if (in.remaining_bytes == 0) {
        decision.fits = decision.switch_over = true;
        return decision;
    }
    const Duration time_for_data = in.downtime_limit - std::min(in.fixed_cost, in.downtime_limit / 2);
    decision.fits = decision.transfer_time <= std::min(time_for_data, in.switchover_timeout / 2);
    if (!decision.fits || in.policy == SwitchoverPolicy::first_fit) {
        decision.switch_over = decision.fits;
        return decision;
    }
    // The next pass lasts as long as the rest takes to send; what is dirtied meanwhile is the rest after it.
    const Duration now = std::max(in.least_transfer_time, transfer_time(in.remaining_bytes, in.bandwidth_bytes_per_s));
    const double now_s = std::chrono::duration<double>(now).count();
    const double next_s = now_s * (in.dirty_bytes_per_s * now_s / static_cast<double>(in.remaining_bytes));
    const Duration saving = now - std::min(now, from_seconds(next_s));
    const Duration patience = std::max(least_patience, in.elapsed / 10);
    decision.switch_over = saving < now / worthwhile_part || saving < worthwhile_saving ||
                           in.since_first_fit.value_or(Duration::zero()) >= patience;
    return decision;
}

SwitchoverReport report_of(const SwitchoverInputs& inputs, const SwitchoverDecision& decision) {
    SwitchoverReport report;
    report.remaining_bytes = inputs.remaining_bytes;
    report.device_bytes = inputs.device_bytes;
    report.fixed_cost = inputs.fixed_cost;
    report.bandwidth_bytes_per_s = inputs.bandwidth_bytes_per_s;
    report.dirty_bytes_per_s = inputs.dirty_bytes_per_s;
    report.downtime_limit = inputs.downtime_limit;
    report.switchover_timeout = inputs.switchover_timeout;
    report.elapsed = inputs.elapsed;
    report.since_first_fit = inputs.since_first_fit;
    report.fits = decision.fits;
    report.switch_over = decision.switch_over;
    if (decision.expected_downtime != Duration::max()) {
        report.expected_downtime = decision.expected_downtime;
    }
    return report;
}

}  // namespace godwit
