// Whole migrations with real threads and tiny memory, for contracts that no timing decides.
#include "godwit/migration.h"

#include <gtest/gtest.h>

#include <optional>

#include "real/two_machines.h"

namespace godwit::race {
namespace {

using std::chrono::seconds;
using MigrationTest = TwoMachinesTest;

struct OneByte {
    std::uint8_t value = 0;
};

/// A device that some machines have.
class OneByteDevice : public DeviceState {
public:
    explicit OneByteDevice(bool optional) : optional_(optional) {}
    std::string_view section_name() const override { return "one-byte"; }
    const VmState& layout() const override {
        static const VmState state = VmStateBuilder<OneByte>("one-byte", 1).field("value", &OneByte::value).build();
        return state;
    }
    void* data() override { return &state_; }
    bool is_optional() const override { return optional_; }

private:
    bool optional_;
    OneByte state_;
};

TEST_F(MigrationTest, AGuestThatIsGoneIsNotSentAgainByWhoeverHearsOfTheEndFirst) {
    RealSignal answered;
    std::optional<Status> second;
    at_source_.on_state = [&](MigrationState to) -> Status {
        if (to == MigrationState::completed) {
            // Comes before what the migration itself posts at its end.
            source_loop_.post([&] {
                second = outgoing_->start(std::make_unique<MemoryOpener>(std::make_shared<MemoryLink>(), 0));
                answered.notify();
            });
        }
        return {};
    };
    ASSERT_TRUE(receive(destination_environment()));
    ASSERT_TRUE(send(source_environment()));
    ASSERT_TRUE(answered.wait_until(clock_.now() + seconds(20)));
    ASSERT_TRUE(second.has_value());
    ASSERT_FALSE(*second);
    EXPECT_EQ(second->error().code, ErrorCode::ownership_gone);
    EXPECT_TRUE(destination_.guest_runs());
    EXPECT_FALSE(source_.guest_runs());
}

TEST_F(MigrationTest, AHandoverThatIsForgottenStaysForgotten) {
    RealSignal answered;
    std::optional<Status> second;
    at_source_.on_state = [&](MigrationState to) -> Status {
        if (to == MigrationState::completed) {
            source_loop_.post([&] {
                outgoing_->forget_handover();
                source_loop_.post([&] {
                    // Behind the migration's own task by now. Nobody listens at that link: it ends as it began.
                    second = outgoing_->start(std::make_unique<MemoryOpener>(std::make_shared<MemoryLink>(), 0));
                    static_cast<void>(outgoing_->cancel());
                    answered.notify();
                });
            });
        }
        return {};
    };
    ASSERT_TRUE(receive(destination_environment()));
    ASSERT_TRUE(send(source_environment()));
    ASSERT_TRUE(answered.wait_until(clock_.now() + seconds(20)));
    ASSERT_TRUE(second.has_value());
    EXPECT_TRUE(*second) << second->error().text();
}

TEST_F(MigrationTest, AnIncomingStartThatAListenerRefusesSaysSo) {
    at_destination_.on_state = [](MigrationState to) -> Status {
        return to == MigrationState::setup ? Status(fail(ErrorCode::busy, "not now")) : Status();
    };
    const Status started = receive(destination_environment());
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, ErrorCode::listener_refused);
    EXPECT_EQ(incoming_->state(), MigrationState::failed);
    EXPECT_EQ(code_of(incoming_->statistics()), ErrorCode::listener_refused);
}

TEST_F(MigrationTest, BothSidesNameTwoMachinesThatDoNotFit) {
    ASSERT_TRUE(receive(destination_environment()));
    ASSERT_TRUE(send(source_environment("other")));
    EXPECT_EQ(at_source_.wait_for_end(), MigrationState::failed);
    EXPECT_EQ(at_destination_.wait_for_end(), MigrationState::failed);
    const ErrorCode code = code_of(outgoing_->statistics());
    EXPECT_TRUE(code == ErrorCode::preflight_mismatch || code == ErrorCode::machine_mismatch) << to_string(code);
    EXPECT_EQ(code_of(incoming_->statistics()), ErrorCode::machine_mismatch);
    EXPECT_TRUE(source_.guest_runs());
}

TEST_F(MigrationTest, PausesBeforeTheSwitchoverUntilToldToGoOn) {
    settings_ = {{find_parameter("pause-before-switchover"), true}};
    ASSERT_TRUE(receive(destination_environment()));
    ASSERT_TRUE(send(source_environment()));
    ASSERT_EQ(at_source_.wait_for_state(MigrationState::pre_switchover), MigrationState::pre_switchover);
    EXPECT_TRUE(outgoing_->is_active());
    EXPECT_FALSE(source_.guest_runs());
    EXPECT_FALSE(destination_.guest_runs());
    ASSERT_TRUE(outgoing_->continue_switchover());
    EXPECT_EQ(at_source_.wait_for_end(), MigrationState::completed);
    using enum MigrationState;
    EXPECT_EQ(at_source_.history(), (std::vector{setup, active, pre_switchover, device, handing_over, completed}));
    EXPECT_TRUE(outgoing_->statistics().paused_before_switchover);
    EXPECT_TRUE(destination_.guest_runs());
    const Status again = outgoing_->continue_switchover();
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, ErrorCode::wrong_state);
    EXPECT_EQ(again.error().message, "Migration not in expected state: completed");
}

/// Every parameter and capability, by its definition: before a migration, while one runs, after it was cancelled and
/// after it has failed.
TEST_F(MigrationTest, SettingsCanBeChangedWhenTheirDefinitionsSaySo) {
    const auto change_all = [this](bool running) {
        for (const ParameterInfo& info : parameter_table()) {
            const ParameterValue same = get_parameter(outgoing_->parameters(), info);
            const Status changed = outgoing_->set(info, same);
            EXPECT_EQ(changed.has_value(), !running || info.while_running) << info.name;
            if (!changed) {
                EXPECT_EQ(changed.error().code, ErrorCode::busy) << info.name;
                EXPECT_EQ(changed.error().message, "There's a migration process in progress") << info.name;
            }
            EXPECT_EQ(get_parameter(outgoing_->parameters(), info), same) << info.name;
        }
    };
    settings_ = {{find_parameter("pause-before-switchover"), true}};
    ASSERT_TRUE(receive(destination_environment()));
    ASSERT_TRUE(send(source_environment()));  // sets before
    ASSERT_EQ(at_source_.wait_for_state(MigrationState::pre_switchover), MigrationState::pre_switchover);
    change_all(true);
    // One that is fixed keeps all others from changing, too.
    const ParameterChange both[] = {{find_parameter("downtime-limit"), std::uint64_t{7}},
                                    {find_parameter("xbzrle"), true}};
    EXPECT_FALSE(outgoing_->set(both));
    EXPECT_EQ(outgoing_->parameters().downtime_limit_ms, MigrationParameters().downtime_limit_ms);
    ASSERT_TRUE(outgoing_->cancel());
    ASSERT_EQ(at_source_.wait_for_end(), MigrationState::cancelled);
    change_all(false);
    EXPECT_TRUE(outgoing_->set(both));
    EXPECT_EQ(outgoing_->parameters().downtime_limit_ms, 7U);
    // Nobody is at the other end.
    ASSERT_TRUE(outgoing_->set(*find_parameter("connect-timeout"), std::uint64_t{1}));
    ASSERT_TRUE(outgoing_->set(*find_parameter("handshake-timeout"), std::uint64_t{1}));
    source_loop_.call(
        [this] { ASSERT_TRUE(outgoing_->start(std::make_unique<MemoryOpener>(std::make_shared<MemoryLink>(), 0))); });
    ASSERT_EQ(at_source_.wait_for_end(), MigrationState::failed);
    change_all(false);
    EXPECT_EQ(outgoing_->parameters().downtime_limit_ms, 7U) << "a failure changes no setting";
}

TEST_F(MigrationTest, ACancelInThePauseLetsTheGuestGoOn) {
    settings_ = {{find_parameter("pause-before-switchover"), true}};
    ASSERT_TRUE(receive(destination_environment()));
    ASSERT_TRUE(send(source_environment()));
    ASSERT_EQ(at_source_.wait_for_state(MigrationState::pre_switchover), MigrationState::pre_switchover);
    ASSERT_TRUE(outgoing_->cancel());
    EXPECT_EQ(at_source_.wait_for_end(), MigrationState::cancelled);
    EXPECT_EQ(at_destination_.wait_for_end(), MigrationState::failed);
    EXPECT_TRUE(source_.guest_runs());
    EXPECT_FALSE(outgoing_->continue_switchover());
}

TEST_F(MigrationTest, APeerThatGoesInThePauseIsNoticed) {
    settings_ = {{find_parameter("pause-before-switchover"), true}};
    ASSERT_TRUE(receive(destination_environment()));
    ASSERT_TRUE(send(source_environment()));
    ASSERT_EQ(at_source_.wait_for_state(MigrationState::pre_switchover), MigrationState::pre_switchover);
    ASSERT_TRUE(incoming_->cancel());
    EXPECT_EQ(at_source_.wait_for_end(), MigrationState::failed);
    EXPECT_TRUE(source_.guest_runs());
}

TEST_F(MigrationTest, AMachineWhoseDeviceNeverCameDoesNotRun) {
    OneByteDevice device(false);
    ASSERT_TRUE(receive(destination_environment({&device})));
    ASSERT_TRUE(send(source_environment()));
    EXPECT_EQ(at_source_.wait_for_end(), MigrationState::failed);
    EXPECT_EQ(at_destination_.wait_for_end(), MigrationState::failed);
    const MigrationStatistics statistics = incoming_->statistics();
    EXPECT_EQ(code_of(statistics), ErrorCode::machine_mismatch);
    EXPECT_NE(statistics.error->message.find("one-byte"), std::string::npos) << statistics.error->message;
    EXPECT_TRUE(source_.guest_runs());
    EXPECT_FALSE(destination_.guest_runs());
}

TEST_F(MigrationTest, AnOptionalDeviceMayStayAway) {
    OneByteDevice device(true);
    ASSERT_TRUE(receive(destination_environment({&device})));
    ASSERT_TRUE(send(source_environment()));
    EXPECT_EQ(at_source_.wait_for_end(), MigrationState::completed);
    EXPECT_EQ(at_destination_.wait_for_end(), MigrationState::completed);
    EXPECT_TRUE(destination_.guest_runs());
}

}  // namespace
}  // namespace godwit::race
