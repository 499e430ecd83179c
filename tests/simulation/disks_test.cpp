// Whole trials of machines with disks that are made for one question each; and whether the plans lead everywhere.
#include <gtest/gtest.h>

#include "trial.h"

namespace godwit::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t chunk_sectors = DiskWriteTracker::chunk_bytes / sector_bytes;

/// One disk full of data that the guest leaves alone, little memory, a fast link.
Plan quiet_plan(std::uint64_t sectors, const std::string& name = "disk") {
    Plan plan;
    plan.seed = 1;
    plan.theme = "undisturbed";
    plan.source.blocks = plan.destination.blocks = {BlockPlan{"sim.ram0", 4}};
    plan.workload.total_writes = 0;
    plan.disk_use = DiskUse::moved;
    plan.parameters.block = true;
    plan.disk_contents.data_percent = 100;
    plan.disk_workload.total_requests = 0;
    plan.source.disks =
        plan.destination.disks = {DiskPlan{.name = name, .sectors = sectors, .call_time = microseconds(2)}};
    for (PipeProperties& pipe : plan.link.pipes) {
        pipe = {.bytes_per_s = 2'000'000'000, .latency = microseconds(20), .capacity_bytes = 512 * 1024};
    }
    return plan;
}

TEST(DisksTest, a_limit_is_kept_and_used) {
    constexpr double limit = 20e6;
    Plan plan = quiet_plan(12 * chunk_sectors);
    plan.parameters.max_bandwidth_bytes_per_s = static_cast<std::uint64_t>(limit);
    Pools pools;
    const Outcome outcome = run_seed(plan, pools, false);
    ASSERT_TRUE(outcome.good()) << outcome.violations.front();
    ASSERT_EQ(outcome.source, MigrationState::completed);
    EXPECT_GT(outcome.precopy_bytes, 6 * DiskWriteTracker::chunk_bytes) << "some end with data only in a part";
    const double rate =
        static_cast<double>(outcome.precopy_bytes) / std::chrono::duration<double>(outcome.precopy_time).count();
    EXPECT_NEAR(rate, limit, 0.03 * limit);
}

/// With a long name the head of a record alone is as much as is allowed in many seconds. A destination that hears
/// nothing for so long takes its source for dead.
TEST(DisksTest, a_source_is_heard_of_within_a_record_too) {
    Plan plan = quiet_plan(8, std::string(255, 'd'));
    plan.parameters.max_bandwidth_bytes_per_s = 20;
    plan.parameters.idle_timeout_ms = plan.destination_parameters.idle_timeout_ms = 6'000;
    Event faster;
    faster.trigger.time = seconds(40);
    faster.action = Action::change_parameter;
    faster.parameter = find_parameter("max-bandwidth");
    faster.value = std::uint64_t{0};
    plan.events.push_back(faster);
    Pools pools;
    const Outcome outcome = run_seed(plan, pools, false);
    ASSERT_TRUE(outcome.good()) << outcome.violations.front();
    EXPECT_EQ(outcome.source, MigrationState::completed);
    EXPECT_GT(outcome.precopy_time, seconds(39));
}

/// The harness itself is under test here.
TEST(DisksTest, a_write_that_nobody_tracks_is_caught) {
    Pools pools;
    bool caught = false;
    for (std::uint64_t seed = 1; seed <= 500 && !caught; ++seed) {
        Plan plan = make_disk_plan(seed);
        if (plan.theme == "undisturbed" && plan.moves_disks()) {
            plan.disk_workload.forgets_marks = true;
            caught = !run_seed(plan, pools, false).good();
        }
    }
    EXPECT_TRUE(caught);
}

TEST(DisksTest, plans_reach_what_can_happen_to_disks) {
    Pools pools;
    Seen seen;
    const auto all = [&] {
        return seen.chunks_again && seen.zero_chunks && seen.chunks_left_out && seen.drained_requests &&
               seen.disk_failure;
    };
    for (std::uint64_t seed = 1; seed <= 5'000 && !all(); ++seed) {
        const Seen one = run_seed(make_disk_plan(seed), pools, false).seen;
        seen.chunks_again = seen.chunks_again || one.chunks_again;
        seen.zero_chunks = seen.zero_chunks || one.zero_chunks;
        seen.chunks_left_out = seen.chunks_left_out || one.chunks_left_out;
        seen.drained_requests = seen.drained_requests || one.drained_requests;
        seen.disk_failure = seen.disk_failure || one.disk_failure;
    }
    EXPECT_TRUE(seen.chunks_again);
    EXPECT_TRUE(seen.zero_chunks);
    EXPECT_TRUE(seen.chunks_left_out);
    EXPECT_TRUE(seen.drained_requests);
    EXPECT_TRUE(seen.disk_failure);
}

TEST(DisksTest, seeds_with_disks_keep_all_promises) {
    Pools pools;
    for (std::uint64_t seed = 1'000'001; seed <= 1'000'100; ++seed) {
        const Outcome outcome = run_seed(make_disk_plan(seed), pools, false);
        ASSERT_TRUE(outcome.good()) << "simulation --disks 1 --seed " << seed
                                    << " --trace: " << outcome.violations.front();
    }
}

}  // namespace
}  // namespace godwit::sim
