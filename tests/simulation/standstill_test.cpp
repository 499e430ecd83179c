#include <gtest/gtest.h>

#include "trial.h"

namespace godwit::sim {
namespace {

using std::chrono::milliseconds;

/// A side stands still at a step of the handover: its process was stopped for a while.
class StandstillTest : public ::testing::Test {
protected:
    /// An undisturbed migration between two godwits, but for the standstill.
    static Plan plan(HandoverStep step, Duration time) {
        Plan plan = make_plan(1);
        while (!plan.undisturbed() || !plan.godwit_handover() || plan.disk_use != DiskUse::none) {
            plan = make_plan(plan.seed + 1);
        }
        plan.theme = "standstill";
        plan.again = false;
        plan.parameters.switchover_timeout_ms = plan.destination_parameters.switchover_timeout_ms = 5'000;
        plan.standstill = Plan::Standstill{step, time};
        return plan;
    }

    Outcome run(const Plan& plan) {
        Outcome outcome = run_seed(plan, pools_, false);
        EXPECT_TRUE(outcome.good()) << outcome.violations.front();
        return outcome;
    }
    void expect_stays(const Plan& plan) {
        const Outcome outcome = run(plan);
        EXPECT_EQ(outcome.source, MigrationState::failed);
        EXPECT_FALSE(outcome.source_unknown) << "its guest goes on";
        EXPECT_FALSE(outcome.guest_moved);
    }

    Pools pools_;
};

constexpr HandoverStep before_the_commit[] = {HandoverStep::source_loaded_seen, HandoverStep::source_before_commit};

TEST_F(StandstillTest, AShortOneDoesNoHarm) {
    for (const HandoverStep step : before_the_commit) {
        const Outcome outcome = run(plan(step, milliseconds(1'000)));
        EXPECT_EQ(outcome.source, MigrationState::completed);
        EXPECT_TRUE(outcome.guest_moved);
    }
}

TEST_F(StandstillTest, ASourceDoesNotCommitAfterItsDeadline) {
    for (const HandoverStep step : before_the_commit) {
        Plan late = plan(step, milliseconds(6'000));
        late.destination_parameters.switchover_timeout_ms = 60'000;
        expect_stays(late);
    }
}

TEST_F(StandstillTest, ASourceDoesNotCommitToADestinationThatHasGivenUp) {
    for (const HandoverStep step : before_the_commit) {
        Plan impatient = plan(step, milliseconds(1'000));
        impatient.destination_parameters.switchover_timeout_ms = 300;
        expect_stays(impatient);
    }
}

TEST_F(StandstillTest, ASourceDoesNotCommitToADestinationThatIsGone) {
    for (const HandoverStep step : before_the_commit) {
        for (const CrashStyle style : {CrashStyle::closed, CrashStyle::reset}) {
            Plan crashed = plan(step, milliseconds(1'000));
            Event event;
            event.trigger.kind = Trigger::Kind::handover_step;
            event.trigger.handover_step = step;
            event.action = Action::crash_destination;
            event.crash_style = style;
            crashed.events.push_back(event);
            expect_stays(crashed);
        }
    }
}

}  // namespace
}  // namespace godwit::sim
