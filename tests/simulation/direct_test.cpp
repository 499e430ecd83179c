// Whole trials in which pages go past the stream; and whether the plans lead everywhere.
#include <gtest/gtest.h>

#include "trial.h"

namespace godwit::sim {
namespace {

TEST(DirectTest, a_seed_gives_the_same_run_every_time) {
    Pools pools;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const Outcome first = run_seed(make_direct_plan(seed), pools, false);
        const Outcome second = run_seed(make_direct_plan(seed), pools, false);
        EXPECT_EQ(first.fingerprint, second.fingerprint) << "seed " << seed;
        EXPECT_EQ(first.virtual_time, second.virtual_time) << "seed " << seed;
    }
}

/// The harness itself is under test here.
TEST(DirectTest, a_page_that_is_lost_on_its_way_is_caught) {
    Pools pools;
    bool caught = false;
    for (std::uint64_t seed = 1; seed <= 500 && !caught; ++seed) {
        Plan plan = make_direct_plan(seed);
        if (plan.undisturbed()) {
            plan.link.direct.loses_pages = true;
            caught = !run_seed(plan, pools, false).good();
        }
    }
    EXPECT_TRUE(caught);
}

TEST(DirectTest, plans_reach_what_can_happen_past_the_stream) {
    Pools pools;
    Seen seen;
    bool cannot_pin = false;
    const auto all = [&] {
        return seen.direct_pages && seen.everything_pinned && seen.registration_given_back && cannot_pin;
    };
    for (std::uint64_t seed = 1; seed <= 5'000 && !all(); ++seed) {
        const Plan plan = make_direct_plan(seed);
        const Outcome outcome = run_seed(plan, pools, false);
        seen.direct_pages = seen.direct_pages || outcome.seen.direct_pages;
        seen.everything_pinned = seen.everything_pinned || outcome.seen.everything_pinned;
        seen.registration_given_back = seen.registration_given_back || outcome.seen.registration_given_back;
        cannot_pin = cannot_pin || (plan.link.direct.fails() && outcome.source == MigrationState::failed);
    }
    EXPECT_TRUE(seen.direct_pages);
    EXPECT_TRUE(seen.everything_pinned);
    EXPECT_TRUE(seen.registration_given_back);
    EXPECT_TRUE(cannot_pin);
}

TEST(DirectTest, ordinary_plans_and_races_have_it_too) {
    int ordinary = 0;
    int races = 0;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        ordinary += make_plan(seed).direct() ? 1 : 0;
        races += make_race_plan(seed).direct() ? 1 : 0;
    }
    EXPECT_GT(ordinary, 5);
    EXPECT_GT(races, 5);
}

TEST(DirectTest, seeds_with_pages_past_the_stream_keep_all_promises) {
    Pools pools;
    for (std::uint64_t seed = 1'000'001; seed <= 1'000'100; ++seed) {
        const Outcome outcome = run_seed(make_direct_plan(seed), pools, false);
        ASSERT_TRUE(outcome.good()) << "simulation --direct 1 --seed " << seed
                                    << " --trace: " << outcome.violations.front();
    }
}

}  // namespace
}  // namespace godwit::sim
