#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <vector>

#include "godwit/migration.h"
#include "real/memory_channel.h"
#include "real/tiny_machine.h"

namespace godwit::race {

inline bool is_final(MigrationState state) {
    return state == MigrationState::completed || state == MigrationState::failed || state == MigrationState::cancelled;
}

/// Waits for the end, and may do something in each announcement.
class Watcher : public Listener {
public:
    Status state_changed(MigrationState, MigrationState to) override {
        Status answer = on_state ? on_state(to) : Status();
        const std::lock_guard lock(mutex_);
        state_ = to;
        history_.push_back(to);
        changed_.notify_all();
        return answer;
    }
    MigrationState wait_for_end() {
        return wait([](MigrationState state) { return is_final(state); });
    }
    MigrationState wait_for_state(MigrationState wanted) {
        return wait([wanted](MigrationState state) { return state == wanted || is_final(state); });
    }
    std::vector<MigrationState> history() {
        const std::lock_guard lock(mutex_);
        return history_;
    }
    std::function<Status(MigrationState)> on_state;

private:
    template <typename Condition>
    MigrationState wait(Condition reached) {
        std::unique_lock lock(mutex_);
        wait_for(changed_, lock, RealClock().now() + std::chrono::seconds(20), [&] { return reached(state_); });
        return state_;
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    MigrationState state_ = MigrationState::none;  // under mutex_
    std::vector<MigrationState> history_;          // under mutex_
};

/// Two tiny machines with a link between them.
class TwoMachinesTest : public ::testing::Test {
protected:
    ~TwoMachinesTest() override {
        source_loop_.call([this] { outgoing_.reset(); });
        destination_loop_.call([this] { incoming_.reset(); });
        EXPECT_EQ(faults_.take(), std::vector<std::string>{});
    }

    Environment source_environment(const std::string& machine_type = "tiny") {
        return {clock_, waiter_, source_loop_, source_, source_, log_, {}, machine_type, &source_, source_.disks()};
    }
    Environment destination_environment(std::vector<DeviceState*> devices = {}) {
        return {clock_, waiter_, destination_loop_,   destination_, destination_, log_, std::move(devices),
                "tiny", nullptr, destination_.disks()};
    }
    Status receive(const Environment& environment) {
        Status started;
        destination_loop_.call([&] {
            incoming_ = std::make_unique<IncomingMigration>(environment, MigrationParameters{});
            incoming_->add_listener(at_destination_);
            started = incoming_->start(std::make_unique<MemoryOpener>(link_, 1));
        });
        return started;
    }
    Status send(const Environment& environment) {
        Status started;
        source_loop_.call([&] {
            outgoing_ = std::make_unique<Migration>(environment);
            outgoing_->add_listener(at_source_);
            ASSERT_TRUE(outgoing_->set(settings_));
            started = outgoing_->start(std::make_unique<MemoryOpener>(link_, 0));
        });
        return started;
    }
    static ErrorCode code_of(const MigrationStatistics& statistics) {
        EXPECT_TRUE(statistics.error.has_value());
        return statistics.error ? statistics.error->code : ErrorCode::internal;
    }

    Faults faults_;
    std::atomic<int> running_guests_{0};
    RealClock clock_;
    RealWaiter waiter_;
    NoLog log_;
    std::shared_ptr<MemoryLink> link_ = std::make_shared<MemoryLink>();
    TinyMachine source_{faults_, running_guests_, RunState::running};
    TinyMachine destination_{faults_, running_guests_, RunState::inmigrate};
    RealExecutor source_loop_;
    RealExecutor destination_loop_;
    std::vector<ParameterChange> settings_;  // of the source
    Watcher at_source_;
    Watcher at_destination_;
    std::unique_ptr<Migration> outgoing_;
    std::unique_ptr<IncomingMigration> incoming_;
};

}  // namespace godwit::race
