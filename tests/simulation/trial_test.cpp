#include "trial.h"

#include <gtest/gtest.h>

namespace godwit::sim {
namespace {

TEST(TrialTest, an_undisturbed_migration_completes) {
    Pools pools;
    Plan plan = make_plan(1);
    while (plan.theme != "undisturbed" || !plan.godwit_handover()) {
        plan = make_plan(plan.seed + 1);
    }
    const Outcome outcome = run_seed(plan, pools, false);
    EXPECT_TRUE(outcome.good()) << outcome.violations.front();
    EXPECT_EQ(outcome.source, MigrationState::completed);
    EXPECT_EQ(outcome.destination, MigrationState::completed);
    EXPECT_TRUE(outcome.guest_moved);
}

TEST(TrialTest, a_seed_gives_the_same_run_every_time) {
    Pools pools;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const Outcome first = run_seed(make_plan(seed), pools, false);
        const Outcome second = run_seed(make_plan(seed), pools, false);
        EXPECT_EQ(first.fingerprint, second.fingerprint) << "seed " << seed;
        EXPECT_EQ(first.steps, second.steps) << "seed " << seed;
        EXPECT_EQ(first.virtual_time, second.virtual_time) << "seed " << seed;
    }
}

TEST(TrialTest, a_destination_that_forgets_a_page_is_caught) {
    // The harness itself is under test here: a page that arrives wrong must not pass. The guest's writes are not
    // tracked.
    Pools pools;
    bool caught = false;
    for (std::uint64_t seed = 1; seed <= 500 && !caught; ++seed) {
        Plan plan = make_plan(seed);
        if (plan.theme == "undisturbed") {
            plan.source.dirty.forgets_marks = true;
            caught = !run_seed(plan, pools, false).good();
        }
    }
    EXPECT_TRUE(caught);
}

/// A few scenarios of every kind, mostly for the sanitizers' builds; the program `simulation` runs thousands.
TEST(TrialTest, seeds_of_every_kind_keep_all_promises) {
    Pools pools;
    for (std::uint64_t seed = 1'000'001; seed <= 1'000'150; ++seed) {
        const Outcome outcome = run_seed(make_plan(seed), pools, false);
        ASSERT_TRUE(outcome.good()) << "simulation --seed " << seed << " --trace: " << outcome.violations.front();
        const Outcome race = run_seed(make_race_plan(seed), pools, false);
        ASSERT_TRUE(race.good()) << "simulation --race-cancel 1 --seed " << seed
                                 << " --trace: " << race.violations.front();
    }
}

}  // namespace
}  // namespace godwit::sim
