#include "migration/convergence.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "migration/switchover_policy.h"

namespace godwit {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t mib = 1 << 20;

/// Passes of half a second that leave that much each.
Convergence after(const std::vector<std::uint64_t>& rests_mib, const MigrationParameters& parameters = {},
                  Duration pass = milliseconds(500)) {
    ConvergenceWatch watch;
    Convergence result;
    Duration elapsed{};
    for (const std::uint64_t rest : rests_mib) {
        elapsed += pass;
        result = watch.after_pass({.elapsed = elapsed,
                                   .remaining_bytes = rest * mib,
                                   .transfer_time = milliseconds(rest * 10),
                                   .fixed_cost = milliseconds(4),
                                   .bandwidth_bytes_per_s = 100 * mib,
                                   .dirty_bytes_per_s = 300 * mib,
                                   .throttle_percent = 30},
                                  parameters);
    }
    return result;
}

TEST(Convergence, IsSeenWhileTheRestFalls) {
    EXPECT_EQ(after({100}).verdict, ConvergenceVerdict::converging);
    EXPECT_EQ(after({100, 90, 80, 70, 60, 50, 40}).verdict, ConvergenceVerdict::converging);
    EXPECT_EQ(after({100, 100, 100, 100}).verdict, ConvergenceVerdict::converging) << "too early to say";
    EXPECT_EQ(after({100, 100, 100, 100, 50, 100, 100}).smallest_remaining_bytes, 50 * mib);
    EXPECT_EQ(after({100, 100, 100, 100, 50, 100, 100}).verdict, ConvergenceVerdict::converging);
}

TEST(Convergence, StallsWhenTheRestStopsFalling) {
    EXPECT_EQ(after({100, 100, 100, 100, 100}).verdict, ConvergenceVerdict::stalled);
    EXPECT_EQ(after({100, 99, 98, 97, 96}).verdict, ConvergenceVerdict::stalled) << "less than a twentieth";
    EXPECT_EQ(after({100, 110, 101, 120, 100, 130}).verdict, ConvergenceVerdict::stalled);
    EXPECT_EQ(after({100, 100, 100, 100, 100}, {}, milliseconds(200)).verdict, ConvergenceVerdict::converging)
        << "within a second it cannot be known";
    EXPECT_EQ(after({100, 100, 100, 100, 100, 90}).verdict, ConvergenceVerdict::converging) << "it goes on";
}

TEST(Convergence, SaysWhatWouldHelp) {
    MigrationParameters parameters;
    parameters.max_bandwidth_bytes_per_s = 100 * mib;
    EXPECT_EQ(
        after({100, 100, 100, 100, 100}, parameters).advice,
        "the guest writes 300 MiB/s, 100 MiB/s are sent, and never less than 100 MiB remain; what would help: raise "
        "downtime-limit to 1205 ms, raise max-bandwidth to 600 MiB/s or more, if the link can, switch on auto-converge "
        "(the "
        "guest is slowed down), or cancel, switch on xbzrle and start again");
    parameters.max_bandwidth_bytes_per_s = 0;
    parameters.auto_converge = true;
    parameters.xbzrle = true;
    EXPECT_EQ(
        after({100, 100, 100, 100, 100}, parameters).advice,
        "the guest writes 300 MiB/s, 100 MiB/s are sent, and never less than 100 MiB remain; what would help: raise "
        "downtime-limit to 1205 ms, wait: auto-converge has slowed the guest down by 30 % so far, or raise "
        "xbzrle-cache-size to 134217728");
    parameters.max_cpu_throttle_percent = 30;
    parameters.xbzrle_cache_size_bytes = 256 * mib;
    parameters.downtime_limit_ms = 2000;
    EXPECT_EQ(
        after({100, 100, 100, 100, 100}, parameters).advice,
        "the guest writes 300 MiB/s, 100 MiB/s are sent, and never less than 100 MiB remain; what would help: raise "
        "max-cpu-throttle to 99");
}

/// What is advised is enough for the decision about the switchover.
TEST(Convergence, TheAdvisedLimitsLetTheRestFit) {
    for (const auto& [transfer_ms, fixed_ms] :
         {std::pair{100, 1}, {100, 99}, {100, 101}, {10, 2000}, {5000, 10}, {200'000, 3}}) {
        const PassOutcome smallest{
            .remaining_bytes = mib, .transfer_time = milliseconds(transfer_ms), .fixed_cost = milliseconds(fixed_ms)};
        MigrationParameters parameters;
        parameters.downtime_limit_ms = 0;
        const std::string advice = convergence_advice(smallest, smallest, parameters);
        const auto number_after = [&](const std::string& words) {
            const std::size_t at = advice.find(words);
            return at == std::string::npos ? std::uint64_t{0}
                                           : std::uint64_t{std::stoul(advice.substr(at + words.size()))};
        };
        const std::uint64_t limit_ms = number_after("downtime-limit to ");
        const std::uint64_t timeout_ms =
            std::max(number_after("switchover-timeout to "), parameters.switchover_timeout_ms);
        const SwitchoverDecision decision = decide_switchover({.remaining_bytes = mib,
                                                               .bandwidth_bytes_per_s = 1e3 * mib / transfer_ms,
                                                               .fixed_cost = smallest.fixed_cost,
                                                               .downtime_limit = milliseconds(limit_ms),
                                                               .switchover_timeout = milliseconds(timeout_ms)});
        EXPECT_TRUE(decision.fits) << transfer_ms << " " << fixed_ms << ": " << advice;
    }
}

TEST(Convergence, NothingIsDividedByNothing) {
    const std::string advice = convergence_advice(PassOutcome{}, PassOutcome{}, MigrationParameters{});
    EXPECT_NE(advice.find("switch on auto-converge"), std::string::npos) << advice;
    MigrationParameters parameters;
    parameters.downtime_limit_ms = 0;
    parameters.max_bandwidth_bytes_per_s = 1;
    EXPECT_NE(convergence_advice({.remaining_bytes = mib}, PassOutcome{}, parameters).find("raise max-bandwidth"),
              std::string::npos);
}

}  // namespace
}  // namespace godwit
