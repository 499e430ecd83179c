#include "tools/move_estimate.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

using namespace std::chrono_literals;

constexpr double megabyte = 1e6;

MoveEstimate estimate(double dirty_bytes_per_s, double bandwidth_bytes_per_s, Duration round_trip = 0ns) {
    return estimate_move({.memory = ByteCount(1'000'000'000),
                          .dirty_bytes_per_s = dirty_bytes_per_s,
                          .bandwidth_bytes_per_s = bandwidth_bytes_per_s,
                          .round_trip = round_trip});
}

TEST(MoveEstimate, IdleGuestTakesOnePassAndAShortStop) {
    const MoveEstimate idle = estimate(0, 100 * megabyte);
    EXPECT_TRUE(idle.ends);
    EXPECT_EQ(idle.passes, 2U);
    EXPECT_EQ(idle.downtime, 1ms);
    EXPECT_NEAR(std::chrono::duration<double>(idle.total_time).count(), 10.02, 0.01);
}

TEST(MoveEstimate, RoundTripsArePartOfTheDowntime) {
    EXPECT_EQ(estimate(0, 100 * megabyte, 20ms).downtime, 61ms);
}

TEST(MoveEstimate, BusyGuestTakesMorePassesAndStaysWithinTheLimit) {
    const MoveEstimate idle = estimate(0, 100 * megabyte);
    const MoveEstimate busy = estimate(50 * megabyte, 100 * megabyte);
    EXPECT_TRUE(busy.ends);
    EXPECT_GT(busy.passes, idle.passes);
    EXPECT_GT(busy.total_time, idle.total_time);
    EXPECT_GT(busy.sent, idle.sent);
    EXPECT_LE(busy.downtime, 300ms);
}

TEST(MoveEstimate, GuestThatWritesFasterThanTheLinkNeverEnds) {
    EXPECT_FALSE(estimate(101 * megabyte, 100 * megabyte).ends);
    EXPECT_FALSE(estimate(1e18, 100 * megabyte).ends);
}

TEST(MoveEstimate, FastWriterEndsWhereAllMemoryFitsIntoTheLimit) {
    const MoveEstimate fast = estimate(1e12, 1e10);
    EXPECT_TRUE(fast.ends);
    EXPECT_LE(fast.downtime, 300ms);
}

TEST(MoveEstimate, NoBandwidthIsNoEnd) {
    EXPECT_FALSE(estimate(0, 0).ends);
}

TEST(MoveEstimate, StopsCountingPasses) {
    // The rest shrinks so slowly that the limit is out of reach for long.
    EXPECT_LE(estimate(99.7 * megabyte, 100 * megabyte).passes, 1001U);
}

}  // namespace
}  // namespace godwit
