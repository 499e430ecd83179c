#include "trial.h"

#include <gtest/gtest.h>

#include <set>
#include <tuple>

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

/// Undisturbed runs between a godwit and a QEMU-like peer complete, with and without a return path, in both shapes.
TEST(TrialTest, a_qemu_on_either_side_completes) {
    Pools pools;
    std::set<std::tuple<Pairing, bool, bool>> seen;
    for (std::uint64_t seed = 1; seed <= 3'000 && seen.size() < 6; ++seed) {
        const Plan plan = make_plan(seed);
        if (!plan.undisturbed() || plan.pairing == Pairing::godwit_to_godwit) {
            continue;
        }
        const Outcome outcome = run_seed(plan, pools, false);
        ASSERT_TRUE(outcome.good()) << "seed " << seed << ": " << outcome.violations.front();
        EXPECT_EQ(outcome.source, MigrationState::completed) << "seed " << seed;
        EXPECT_TRUE(outcome.guest_moved) << "seed " << seed;
        const bool return_path = plan.parameters.return_path && !plan.parameters.legacy_stream;
        seen.emplace(plan.pairing, plan.parameters.legacy_stream, return_path);
    }
    EXPECT_EQ(seen.size(), 6U);
}

/// Plans lead everywhere: an assumption that every other result of the simulation rests on.
TEST(TrialTest, plans_reach_what_a_source_can_do) {
    Pools pools;
    Seen seen;
    const auto all = [&] {
        return seen.deltas && seen.unchanged_pages && seen.skipped_zeros && seen.throttle &&
               seen.pause_before_switchover && seen.stall;
    };
    for (std::uint64_t seed = 1; seed <= 20'000 && !all(); ++seed) {
        const Seen one = run_seed(make_plan(seed), pools, false).seen;
        seen.deltas = seen.deltas || one.deltas;
        seen.unchanged_pages = seen.unchanged_pages || one.unchanged_pages;
        seen.skipped_zeros = seen.skipped_zeros || one.skipped_zeros;
        seen.throttle = seen.throttle || one.throttle;
        seen.pause_before_switchover = seen.pause_before_switchover || one.pause_before_switchover;
        seen.stall = seen.stall || one.stall;
    }
    EXPECT_TRUE(seen.deltas);
    EXPECT_TRUE(seen.unchanged_pages);
    EXPECT_TRUE(seen.skipped_zeros);
    EXPECT_TRUE(seen.throttle);
    EXPECT_TRUE(seen.pause_before_switchover);
    EXPECT_TRUE(seen.stall);
}

/// The one way to two guests: a QEMU source is cancelled while its end of the stream is under way. The simulation shows
/// it when the operator does that, and never otherwise.
TEST(TrialTest, two_guests_come_only_of_a_late_cancel_at_a_qemu) {
    Pools pools;
    bool shown = false;
    for (std::uint64_t seed = 1; seed <= 20'000 && !shown; ++seed) {
        Plan plan = make_plan(seed);
        if (plan.theme != "cancel" || plan.pairing != Pairing::qemu_to_godwit || !plan.cancels_between) {
            continue;
        }
        const Outcome outcome = run_seed(plan, pools, false);
        ASSERT_TRUE(outcome.good()) << "seed " << seed << ": " << outcome.violations.front();
        if (outcome.documented_residue) {
            shown = true;
            plan.cancels_between = false;
            const Outcome careful = run_seed(plan, pools, false);
            EXPECT_TRUE(careful.good()) << "seed " << seed << ": " << careful.violations.front();
            EXPECT_FALSE(careful.documented_residue);
        }
    }
    EXPECT_TRUE(shown);
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
