#include "migration/convergence.h"

#include <gtest/gtest.h>

#include <vector>

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
        "downtime-limit to 1200 ms, raise max-bandwidth to 400 MiB/s, if the link can, switch on auto-converge (the "
        "guest is slowed down), or cancel, switch on xbzrle and start again");
    parameters.max_bandwidth_bytes_per_s = 0;
    parameters.auto_converge = true;
    parameters.xbzrle = true;
    EXPECT_EQ(
        after({100, 100, 100, 100, 100}, parameters).advice,
        "the guest writes 300 MiB/s, 100 MiB/s are sent, and never less than 100 MiB remain; what would help: raise "
        "downtime-limit to 1200 ms, wait: auto-converge has slowed the guest down by 30 % so far, or raise "
        "xbzrle-cache-size to 134217728");
    parameters.max_cpu_throttle_percent = 30;
    parameters.xbzrle_cache_size_bytes = 256 * mib;
    parameters.downtime_limit_ms = 2000;
    EXPECT_EQ(
        after({100, 100, 100, 100, 100}, parameters).advice,
        "the guest writes 300 MiB/s, 100 MiB/s are sent, and never less than 100 MiB remain; what would help: raise "
        "max-cpu-throttle to 99");
}

TEST(Convergence, NothingIsDividedByNothing) {
    const std::string advice = convergence_advice(0, PassOutcome{}, MigrationParameters{});
    EXPECT_NE(advice.find("switch on auto-converge"), std::string::npos) << advice;
    MigrationParameters parameters;
    parameters.downtime_limit_ms = 0;
    parameters.max_bandwidth_bytes_per_s = 1;
    EXPECT_NE(convergence_advice(mib, PassOutcome{}, parameters).find("raise max-bandwidth"), std::string::npos);
}

}  // namespace
}  // namespace godwit
