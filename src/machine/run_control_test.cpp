#include "machine/run_control.h"

#include <gtest/gtest.h>

#include <vector>

namespace godwit {
namespace {

using Action = RunControl::Action;

/// A machine in a given state, reached by way of the public calls.
std::unique_ptr<RunControl> in_state(RunState state) {
    if (state == RunState::inmigrate) {
        return std::make_unique<RunControl>(RunState::inmigrate, true);
    }
    auto control = std::make_unique<RunControl>(RunState::prelaunch, true);
    if (state == RunState::running) {
        control->power_on(false);
    } else if (state != RunState::prelaunch) {
        control->set_stopped(state);
    }
    return control;
}

struct ContCase {
    RunState state;
    bool allowed;
    RunState after;
    Action action;
};

TEST(RunControl, ContTable) {
    const ContCase cases[] = {
        {RunState::prelaunch, true, RunState::running, Action::start},
        {RunState::paused, true, RunState::running, Action::start},
        {RunState::postmigrate, true, RunState::running, Action::start},
        {RunState::running, true, RunState::running, Action::none},
        {RunState::inmigrate, true, RunState::inmigrate, Action::none},
        {RunState::finish_migrate, false, RunState::finish_migrate, Action::none},
        {RunState::shutdown, false, RunState::shutdown, Action::none},
        {RunState::internal_error, false, RunState::internal_error, Action::none},
        {RunState::guest_panicked, false, RunState::guest_panicked, Action::none},
    };
    for (const ContCase& c : cases) {
        for (const bool force : {false, true}) {
            const auto control = in_state(c.state);
            const auto result = control->cont(force);
            ASSERT_EQ(result.has_value(), c.allowed) << to_string(c.state);
            if (result) {
                EXPECT_EQ(*result, c.action) << to_string(c.state);
            } else {
                EXPECT_EQ(result.error().code, ErrorCode::wrong_state);
                EXPECT_FALSE(result.error().hint.empty());
            }
            EXPECT_EQ(control->state(), c.after) << to_string(c.state);
        }
    }
}

TEST(RunControl, StopTable) {
    EXPECT_EQ(in_state(RunState::running)->stop().value(), Action::stop);
    for (const RunState state : {RunState::prelaunch, RunState::paused, RunState::postmigrate, RunState::inmigrate,
                                 RunState::shutdown, RunState::internal_error}) {
        const auto control = in_state(state);
        EXPECT_EQ(control->stop().value(), Action::none) << to_string(state);
        EXPECT_EQ(control->state(), state);
    }
    EXPECT_EQ(in_state(RunState::finish_migrate)->stop().error().code, ErrorCode::wrong_state);
}

TEST(RunControl, SwitchoverTable) {
    EXPECT_EQ(in_state(RunState::running)->check_switchover().value(), Action::stop);
    EXPECT_EQ(in_state(RunState::paused)->check_switchover().value(), Action::none);
    EXPECT_EQ(in_state(RunState::prelaunch)->check_switchover().value(), Action::none);
    EXPECT_EQ(in_state(RunState::postmigrate)->check_switchover().value(), Action::none);
    EXPECT_EQ(in_state(RunState::shutdown)->check_switchover().error().code, ErrorCode::guest_gone);
    EXPECT_EQ(in_state(RunState::internal_error)->check_switchover().error().code, ErrorCode::vcpu);
    EXPECT_EQ(in_state(RunState::inmigrate)->check_switchover().error().code, ErrorCode::wrong_state);
    EXPECT_EQ(in_state(RunState::finish_migrate)->check_switchover().error().code, ErrorCode::wrong_state);
}

TEST(RunControl, AFailedSwitchoverRestoresWhatWasBefore) {
    for (const RunState before : {RunState::running, RunState::paused, RunState::prelaunch, RunState::postmigrate}) {
        const auto control = in_state(before);
        control->set_stopped(RunState::finish_migrate);
        EXPECT_EQ(control->resume_after_failure(before), before == RunState::running ? Action::start : Action::none);
        EXPECT_EQ(control->state(), before);
    }
    const auto gone = in_state(RunState::shutdown);
    EXPECT_EQ(gone->resume_after_failure(RunState::running), Action::none);
    EXPECT_EQ(gone->state(), RunState::shutdown);
}

TEST(RunControl, AGuestThatRunsElsewhereIsOnlyTakenBackByForce) {
    const auto control = in_state(RunState::finish_migrate);
    control->finish_migrated(true);
    EXPECT_EQ(control->state(), RunState::postmigrate);
    const auto refused = control->cont(false);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::ownership_gone);
    EXPECT_NE(refused.error().hint.find("destination"), std::string::npos);
    EXPECT_EQ(control->check_switchover().error().code, ErrorCode::ownership_gone);
    EXPECT_EQ(control->state(), RunState::postmigrate);
    EXPECT_EQ(control->cont(true).value(), Action::start);
    EXPECT_EQ(control->ownership(), Ownership::here);
    control->set_stopped(RunState::paused);
    EXPECT_TRUE(control->cont(false)) << "force has taken the ownership for good";
}

TEST(RunControl, AfterSavingToAFileTheGuestMayRunAndMoveAgain) {
    const auto control = in_state(RunState::finish_migrate);
    control->finish_migrated(false);
    EXPECT_TRUE(control->check_switchover());
    EXPECT_EQ(control->cont(false).value(), Action::start);
}

TEST(RunControl, AnUnknownOwnerBlocksBothSides) {
    for (const RunState state : {RunState::finish_migrate, RunState::inmigrate}) {
        const auto control = in_state(state);
        control->set_ownership_unknown();
        EXPECT_EQ(control->state(), RunState::paused);
        const auto refused = control->cont(false);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::handover_unknown);
        EXPECT_NE(refused.error().hint.find("exactly one"), std::string::npos);
        EXPECT_EQ(control->check_switchover().error().code, ErrorCode::handover_unknown);
        EXPECT_EQ(control->cont(true).value(), Action::start);
        EXPECT_EQ(control->state(), RunState::running);
    }
}

struct ArrivalCase {
    const char* sent;
    RunState after;
};

TEST(RunControl, ArrivalTable) {
    const ArrivalCase cases[] = {
        {"running", RunState::running},
        {"paused", RunState::paused},
        {"prelaunch", RunState::prelaunch},
        {"finish-migrate", RunState::paused},
        {"postmigrate", RunState::paused},
        {"save-vm", RunState::paused},
        {"io-error", RunState::paused},
        {"shutdown", RunState::shutdown},
        {"internal-error", RunState::internal_error},
        {"guest-panicked", RunState::guest_panicked},
    };
    for (const ArrivalCase& c : cases) {
        RunControl control(RunState::inmigrate, true);
        ASSERT_TRUE(control.set_incoming(c.sent)) << c.sent;
        const bool runs = c.after == RunState::running;
        EXPECT_EQ(control.start_after_load().value(), runs ? Action::start : Action::none) << c.sent;
        EXPECT_EQ(control.state(), c.after) << c.sent;
    }
}

TEST(RunControl, UnknownArrivalStatesAreRefused) {
    for (const char* sent : {"", "Running", "inmigrate", "running ", "quit"}) {
        RunControl control(RunState::inmigrate, true);
        EXPECT_EQ(control.set_incoming(sent).error().code, ErrorCode::stream_corrupt) << sent;
    }
    RunControl control(RunState::inmigrate, true);
    EXPECT_EQ(control.set_incoming("suspended").error().code, ErrorCode::unsupported);
}

TEST(RunControl, TheOperatorDecidesBeforeTheArrival) {
    RunControl silent(RunState::inmigrate, true);
    EXPECT_EQ(silent.start_after_load().value(), Action::start) << "a source that says nothing had a running guest";

    RunControl paused(RunState::inmigrate, false);
    ASSERT_TRUE(paused.set_incoming("running"));
    EXPECT_EQ(paused.start_after_load().value(), Action::none);
    EXPECT_EQ(paused.state(), RunState::paused);

    RunControl continued(RunState::inmigrate, false);
    EXPECT_TRUE(continued.cont(false));
    EXPECT_EQ(continued.start_after_load().value(), Action::start);

    RunControl stopped(RunState::inmigrate, true);
    EXPECT_TRUE(stopped.stop());
    EXPECT_EQ(stopped.start_after_load().value(), Action::none);
    EXPECT_EQ(stopped.state(), RunState::paused);

    RunControl still_paused(RunState::inmigrate, true);
    EXPECT_TRUE(still_paused.cont(false));
    ASSERT_TRUE(still_paused.set_incoming("paused"));
    EXPECT_EQ(still_paused.start_after_load().value(), Action::none);
    EXPECT_EQ(still_paused.state(), RunState::paused);

    EXPECT_EQ(in_state(RunState::running)->start_after_load().error().code, ErrorCode::wrong_state);
}

}  // namespace
}  // namespace godwit
