#include <gtest/gtest.h>

#include "machine/test_disk.h"
#include "machine/test_machine.h"
#include "machine/virtual_machine.h"

namespace godwit {
namespace {

constexpr std::size_t disk_bytes = 1024 * 1024;

class MachineDisksTest : public LoopTest {
protected:
    static MachineOptions memory_only(bool incoming = false) {
        MachineOptions options;
        options.kind = MachineKind::none;
        options.memory = ByteCount(1 << 20);
        options.incoming = incoming;
        return options;
    }
    std::unique_ptr<VirtualMachine> make(const MachineOptions& options) {
        auto machine = VirtualMachine::create(options, loop, clock, log, {{"a", &first}, {"b", &second}});
        EXPECT_TRUE(machine) << machine.error().text();
        return std::move(*machine);
    }
    Status create(const MachineOptions& options, std::vector<MachineDisk> disks) {
        auto machine = VirtualMachine::create(options, loop, clock, log, std::move(disks));
        return machine ? Status() : fail(machine.error());
    }
    std::pair<bool, bool> locked() const { return {first.locked(), second.locked()}; }

    TestDisk first{disk_bytes};
    TestDisk second{2 * disk_bytes};
    const std::pair<bool, bool> both{true, true};
    const std::pair<bool, bool> none{false, false};
};

TEST_F(MachineDisksTest, names_are_unique_and_not_empty) {
    EXPECT_FALSE(create(memory_only(), {{"a", &first}, {"a", &second}}));
    EXPECT_FALSE(create(memory_only(), {{"", &first}}));
    EXPECT_FALSE(create(memory_only(), {{std::string(256, 'x'), &first}}));
    EXPECT_TRUE(create(memory_only(), {{std::string(255, 'x'), &first}}));
}

TEST_F(MachineDisksTest, only_hardware_limits_their_number) {
    std::vector<MachineDisk> disks;
    disks.reserve(9);
    for (int n = 0; n < 9; ++n) {
        disks.push_back({std::to_string(n), &first});
    }
    EXPECT_TRUE(create(memory_only(), disks));
    MachineOptions options;
    options.incoming = true;
    const Status refused = create(options, disks);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(refused.error().message.find("9 disks are too many: a microvm has 8 places"), std::string::npos);
}

TEST_F(MachineDisksTest, a_migration_sees_them_with_their_trackers) {
    const auto machine = make(memory_only());
    const std::vector<Disk> disks = machine->disks();
    ASSERT_EQ(disks.size(), 2U);
    EXPECT_EQ(disks[1].name, "b");
    EXPECT_EQ(disks[1].device, &second);
    EXPECT_EQ(disks[1].tracker->chunks(), 2U);
}

TEST_F(MachineDisksTest, images_are_taken_at_power_on_and_given_back_at_the_end) {
    {
        const auto machine = make(memory_only());
        EXPECT_EQ(locked(), none);
        ASSERT_TRUE(machine->power_on());
        EXPECT_EQ(locked(), both);
    }
    EXPECT_EQ(locked(), none);
}

TEST_F(MachineDisksTest, a_machine_whose_image_is_in_use_does_not_start) {
    second.refuse_lock(true);
    const auto machine = make(memory_only());
    const Status started = machine->power_on();
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, ErrorCode::disk);
    EXPECT_NE(started.error().message.find("disk 'b'"), std::string::npos);
    EXPECT_EQ(locked(), none) << "all or none";
    EXPECT_EQ(machine->run_state(), RunState::prelaunch);
}

TEST_F(MachineDisksTest, a_source_gives_them_up_and_takes_them_back_after_a_failure) {
    const auto machine = make(memory_only());
    ASSERT_TRUE(machine->power_on());
    {
        const MachineLock lock(*machine);
        ASSERT_TRUE(machine->stop_for_switchover());
        ASSERT_TRUE(machine->release_disks());
        EXPECT_EQ(locked(), none);
        ASSERT_TRUE(machine->resume_after_failure(RunState::running));
    }
    EXPECT_EQ(locked(), both);
    EXPECT_EQ(machine->run_state(), RunState::running);
}

TEST_F(MachineDisksTest, a_source_that_cannot_have_them_back_stays_paused) {
    const auto machine = make(memory_only());
    ASSERT_TRUE(machine->power_on());
    {
        const MachineLock lock(*machine);
        ASSERT_TRUE(machine->stop_for_switchover());
        ASSERT_TRUE(machine->release_disks());
        first.refuse_lock(true);
        EXPECT_FALSE(machine->resume_after_failure(RunState::running));
    }
    EXPECT_EQ(machine->run_state(), RunState::paused);
    const Status refused = machine->cont(false);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("disk 'a'"), std::string::npos);
    EXPECT_EQ(machine->run_state(), RunState::paused);
    first.refuse_lock(false);
    ASSERT_TRUE(machine->cont(false));
    EXPECT_EQ(locked(), both);
}

TEST_F(MachineDisksTest, taking_the_guest_back_by_force_needs_its_disks_too) {
    const auto machine = make(memory_only());
    ASSERT_TRUE(machine->power_on());
    {
        const MachineLock lock(*machine);
        ASSERT_TRUE(machine->stop_for_switchover());
        ASSERT_TRUE(machine->release_disks());
        machine->finish_migrated(true);
    }
    second.refuse_lock(true);
    EXPECT_EQ(machine->cont(false).error().code, ErrorCode::ownership_gone) << "what matters more is said first";
    EXPECT_EQ(machine->cont(true).error().code, ErrorCode::disk);
    EXPECT_EQ(machine->ownership(), Ownership::elsewhere);
    second.refuse_lock(false);
    ASSERT_TRUE(machine->cont(true));
    EXPECT_EQ(locked(), both);
    EXPECT_EQ(machine->ownership(), Ownership::here);
}

TEST_F(MachineDisksTest, a_destination_takes_them_when_the_guest_is_complete) {
    const auto machine = make(memory_only(true));
    ASSERT_TRUE(machine->power_on());
    ASSERT_TRUE(machine->stop());
    ASSERT_TRUE(machine->cont(false)) << "only takes back the stop";
    EXPECT_EQ(locked(), none);
    const MachineLock lock(*machine);
    ASSERT_TRUE(machine->set_incoming_run_state("running"));
    ASSERT_TRUE(machine->start_after_load());
    EXPECT_EQ(locked(), both);
    EXPECT_EQ(machine->run_state(), RunState::running);
}

TEST_F(MachineDisksTest, a_guest_that_arrives_before_power_on_is_left_alone) {
    const auto machine = make(memory_only(true));
    {
        const MachineLock lock(*machine);
        ASSERT_TRUE(machine->set_incoming_run_state("paused"));
        ASSERT_TRUE(machine->start_after_load());
    }
    ASSERT_TRUE(machine->power_on());
    EXPECT_EQ(machine->run_state(), RunState::paused);
}

TEST_F(MachineDisksTest, a_destination_that_cannot_have_them_stays_paused) {
    const auto machine = make(memory_only(true));
    ASSERT_TRUE(machine->power_on());
    first.refuse_lock(true);
    {
        const MachineLock lock(*machine);
        ASSERT_TRUE(machine->set_incoming_run_state("running"));
        const Status refused = machine->start_after_load();
        ASSERT_FALSE(refused);
        EXPECT_NE(refused.error().message.find("disk 'a'"), std::string::npos);
    }
    EXPECT_EQ(machine->run_state(), RunState::paused);
    first.refuse_lock(false);
    EXPECT_TRUE(machine->cont(false));
    EXPECT_EQ(locked(), both);
}

TEST_F(MachineDisksTest, a_guest_that_has_arrived_waits_for_its_image_whoever_owns_it) {
    const auto machine = make(memory_only(true));
    first.refuse_lock(true);
    {
        const MachineLock lock(*machine);
        ASSERT_TRUE(machine->set_incoming_run_state("running"));
        EXPECT_EQ(machine->start_after_load().error().code, ErrorCode::disk);
        machine->set_ownership_unknown();
    }
    EXPECT_EQ(machine->run_state(), RunState::paused);
    EXPECT_FALSE(machine->memory().blocks()[0].fresh) << "it is complete";
    EXPECT_EQ(machine->cont(false).error().code, ErrorCode::handover_unknown);
    EXPECT_EQ(machine->cont(true).error().code, ErrorCode::disk);
    EXPECT_EQ(machine->run_state(), RunState::paused);
    EXPECT_EQ(machine->ownership(), Ownership::unknown);
    first.refuse_lock(false);
    ASSERT_TRUE(machine->cont(true));
    EXPECT_EQ(machine->run_state(), RunState::running);
    EXPECT_EQ(machine->ownership(), Ownership::here);
    EXPECT_EQ(locked(), both);
}

TEST_F(MachineDisksTest, a_guest_that_had_ended_does_not_come_back_to_life_because_of_an_image) {
    const auto machine = make(memory_only(true));
    first.refuse_lock(true);
    {
        const MachineLock lock(*machine);
        ASSERT_TRUE(machine->set_incoming_run_state("guest-panicked"));
        EXPECT_FALSE(machine->start_after_load());
    }
    EXPECT_EQ(machine->run_state(), RunState::guest_panicked);
}

TEST_F(MachineDisksTest, the_machine_type_can_have_another_name) {
    MachineOptions options = memory_only();
    EXPECT_EQ(make(options)->machine_type(), "none");
    options.type_name = "pc-i440fx-7.2";
    EXPECT_EQ(make(options)->machine_type(), "pc-i440fx-7.2");
    options.type_name = std::string(256, 'x');
    EXPECT_FALSE(create(options, {}));
}

}  // namespace
}  // namespace godwit
