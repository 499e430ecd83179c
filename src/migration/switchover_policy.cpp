#include "migration/switchover_policy.h"

#include <algorithm>

namespace godwit {
namespace {

constexpr Duration worthwhile_saving = std::chrono::milliseconds(1);
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
    if (in.remaining_bytes == 0) {
        return {.fits = true, .switch_over = true, .expected_downtime = Duration::zero()};
    }
    if (in.bandwidth_bytes_per_s <= 0) {
        return {.fits = false, .switch_over = false, .expected_downtime = Duration::max()};
    }
    const double pass_s = static_cast<double>(in.remaining_bytes) / in.bandwidth_bytes_per_s;
    SwitchoverDecision decision{.expected_downtime = transfer_time(in.remaining_bytes, in.bandwidth_bytes_per_s)};
    decision.fits = decision.expected_downtime <= std::min(in.downtime_limit, in.switchover_timeout / 2);
    if (!decision.fits) {
        return decision;
    }
    // The next pass lasts as long as the rest takes to send; what is dirtied meanwhile is the rest after it.
    const double next_s = in.dirty_bytes_per_s * pass_s / in.bandwidth_bytes_per_s;
    const Duration saving = decision.expected_downtime - std::min(decision.expected_downtime, from_seconds(next_s));
    const Duration patience = std::max(least_patience, in.elapsed / 10);
    decision.switch_over = saving < decision.expected_downtime / 2 || saving < worthwhile_saving ||
                           in.since_first_fit.value_or(Duration::zero()) >= patience;
    return decision;
}

SwitchoverReport report_of(const SwitchoverInputs& inputs, const SwitchoverDecision& decision) {
    SwitchoverReport report;
    report.remaining_bytes = inputs.remaining_bytes;
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
