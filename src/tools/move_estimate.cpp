#include "tools/move_estimate.h"

#include <algorithm>
#include <optional>

#include "migration/switchover_policy.h"

namespace godwit {

namespace {

constexpr std::uint64_t most_passes = 1000;
/// A page's record has so many bytes besides the page.
constexpr double stream_part = 1 + 8.0 / page_bytes;
/// Stopping the guest, its devices' state, starting it; and the messages of the handover.
constexpr Duration stop_and_start = std::chrono::milliseconds(1);
constexpr int round_trips = 3;

std::uint64_t bytes_of(double bytes) {
    return static_cast<std::uint64_t>(bytes);
}

}  // namespace

MoveEstimate estimate_move(const MovePlan& plan) {
    MoveEstimate estimate;
    double remaining = static_cast<double>(plan.memory.value());
    std::optional<Duration> first_fit;
    const Duration fixed_cost = stop_and_start + round_trips * plan.round_trip;
    while (plan.bandwidth_bytes_per_s > 0 && estimate.passes < most_passes) {
        const Duration pass = transfer_time(bytes_of(remaining * stream_part), plan.bandwidth_bytes_per_s);
        const double pass_s = std::chrono::duration<double>(pass).count();
        ++estimate.passes;
        estimate.sent += ByteCount(bytes_of(remaining * stream_part));
        estimate.total_time += pass;
        remaining = std::min(static_cast<double>(plan.memory.value()), plan.dirty_bytes_per_s * pass_s);

        SwitchoverInputs inputs;
        inputs.policy = plan.parameters.switchover_policy;
        inputs.remaining_bytes = bytes_of(remaining * stream_part);
        inputs.bandwidth_bytes_per_s = plan.bandwidth_bytes_per_s;
        inputs.fixed_cost = fixed_cost;
        inputs.dirty_bytes_per_s = plan.dirty_bytes_per_s;
        inputs.downtime_limit = std::chrono::milliseconds(plan.parameters.downtime_limit_ms);
        inputs.switchover_timeout = std::chrono::milliseconds(plan.parameters.switchover_timeout_ms);
        inputs.elapsed = estimate.total_time;
        inputs.since_first_fit = first_fit ? std::optional(estimate.total_time - *first_fit) : std::nullopt;
        const SwitchoverDecision decision = decide_switchover(inputs);
        if (decision.switch_over) {
            ++estimate.passes;
            estimate.sent += ByteCount(inputs.remaining_bytes);
            estimate.ends = true;
            estimate.downtime = decision.expected_downtime;
            estimate.total_time += decision.expected_downtime;
            return estimate;
        }
        if (decision.fits && !first_fit) {
            first_fit = estimate.total_time;
        }
        if (!decision.fits && plan.dirty_bytes_per_s * stream_part >= plan.bandwidth_bytes_per_s) {
            return estimate;  // each pass leaves as much as it took
        }
    }
    return estimate;
}

}  // namespace godwit
