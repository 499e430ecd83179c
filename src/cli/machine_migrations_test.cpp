#include "cli/machine_migrations.h"

#include <gtest/gtest.h>

#include <array>
#include <mutex>
#include <string_view>
#include <vector>

#include "godwit/io.h"
#include "io/test_support.h"

namespace godwit {
namespace {

/// A machine that has not come yet.
class EmptyMachine : public MachineControl {
public:
    void lock() override { mutex_.lock(); }
    void unlock() override { mutex_.unlock(); }
    RunState run_state() const override { return RunState::inmigrate; }
    Status stop_for_switchover() override { return {}; }
    Status resume_after_failure(RunState) override { return {}; }
    Status release_disks() override { return {}; }
    void finish_migrated(bool) override {}
    void set_ownership_unknown() override {}
    Status set_incoming_run_state(std::string_view) override { return {}; }
    Status start_after_load() override { return {}; }

private:
    std::mutex mutex_;
};

class NoEvents : public EventSink {
public:
    void emit(std::string_view, const Json&) override {}
};

class MachineMigrationsTest : public ::testing::Test {
protected:
    MachineMigrationsTest() {
        std::vector<MemorySpec> specs;
        specs.push_back({"ram", ByteCount(16 * page_bytes), {}});
        memory_ = std::move(*make_memory(std::move(specs)));
        const Environment environment{*clock_, *waiter_, *loop_, *memory_, machine_, log_, {}, "none"};
        migrations_ = std::make_unique<MachineMigrations>(
            environment, environment, descriptors_, tls_objects_, events_, MachineMigrations::Incoming::expected,
            Sandbox::off, StepSignals{},
            MachineMigrations::Callbacks{[](MigrationState) {}, [](MigrationState) {}, [] { return Status(); }});
    }
    Status set(const char* name, std::string_view value) {
        const std::array changes{ParameterChange{find_parameter(name), value}};
        return migrations_->set(changes);
    }

    std::unique_ptr<Clock> clock_ = make_clock();
    std::unique_ptr<Waiter> waiter_ = make_waiter();
    std::unique_ptr<MainLoop> loop_ = make_main_loop();
    std::unique_ptr<GuestMemory> memory_;
    EmptyMachine machine_;
    test::RecordingLog log_;
    test::TemporaryDirectory directory_;
    NamedDescriptors descriptors_;
    TlsObjects tls_objects_;
    NoEvents events_;
    std::unique_ptr<MachineMigrations> migrations_;
};

TEST_F(MachineMigrationsTest, WhatADestinationIsProtectedWithStaysWhileItWaits) {
    EXPECT_OK(set("tls-hostname", "before.example"));
    ASSERT_OK(migrations_->receive("unix:" + (directory_ / "s")));
    for (const char* name : {"tls-creds", "tls-authz", "tls-hostname"}) {
        EXPECT_CODE(set(name, "other"), ErrorCode::busy);
    }
    EXPECT_EQ(migrations_->parameters().tls_creds, "");
    // What is so already, and what has nothing to do with it.
    EXPECT_OK(set("tls-hostname", "before.example"));
    const std::array other{ParameterChange{find_parameter("idle-timeout"), std::uint64_t{7000}}};
    EXPECT_OK(migrations_->set(other));
}

TEST_F(MachineMigrationsTest, ADestinationDoesNotWaitWithAListOfTheWelcomeAndNoCredentials) {
    EXPECT_OK(set("tls-authz", "list"));
    EXPECT_CODE(migrations_->receive("unix:" + (directory_ / "s")), ErrorCode::invalid_argument);
    EXPECT_OK(set("tls-authz", ""));
    EXPECT_OK(migrations_->receive("unix:" + (directory_ / "s")));
}

}  // namespace
}  // namespace godwit
