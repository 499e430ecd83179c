#include "sim/sim_machine.h"

#include <gtest/gtest.h>

#include <functional>

namespace godwit::sim {
namespace {

class MachineTest : public testing::Test {
protected:
    void run(const std::function<void()>& body) {
        world.scheduler().spawn(0, "test", [&] {
            body();
            world.scheduler().stop();
        });
        ASSERT_EQ(world.scheduler().run(), Stuck::no);
    }
    bool noticed(const std::string& what) const {
        return std::any_of(world.violations().begin(), world.violations().end(),
                           [&](const std::string& text) { return text.find(what) != std::string::npos; });
    }

    StackPool stacks;
    BufferPool buffers;
    World world{1, ScheduleStyle{}, stacks};
    std::vector<BlockPlan> blocks{{"ram", 8}, {"video", 3}};
    Workload workload;
    SimGuest guest{world, buffers, blocks, workload};
    Ownership ownership{world, guest};
    SimMemory source_memory{world, buffers, blocks, InitialContent::fresh, true};
    SimMemory destination_memory{world, buffers, {blocks.rbegin(), blocks.rend()}, InitialContent::garbage, true};
    SimMachine source{ownership, "S", source_memory, MachinePlan{}, RunState::running};
    SimMachine destination{ownership, "D", destination_memory, MachinePlan{}, RunState::inmigrate};
};

TEST_F(MachineTest, an_ordinary_move_breaks_no_promise) {
    guest.fill(source_memory);
    run([&] {
        for (std::size_t block = 0; block < 2; ++block) {
            const std::size_t there = destination_memory.find(blocks[block].id);
            std::copy_n(source_memory.page(block, 0), blocks[block].pages * page_bytes,
                        destination_memory.page(there, 0));
        }
        const MachineLock lock(source);
        ASSERT_TRUE(source.stop_for_switchover());
        ASSERT_TRUE(source.release_disks());
        destination.lock();
        ASSERT_TRUE(destination.set_incoming_run_state("running"));
        destination.loaded_registers = guest.registers();
        ASSERT_TRUE(destination.start_after_load());
        destination.unlock();
        source.finish_migrated(true);
    });
    EXPECT_TRUE(world.violations().empty()) << world.violations().front();
    EXPECT_TRUE(destination.may_run());
    EXPECT_FALSE(source.may_run());
}

TEST_F(MachineTest, two_running_guests_are_noticed) {
    run([&] {
        const MachineLock lock(destination);
        static_cast<void>(destination.set_incoming_run_state("running"));
        static_cast<void>(destination.start_after_load());
    });
    EXPECT_TRUE(noticed("needs the disks while S holds them"));
    run([&] {
        {
            const MachineLock lock(source);
            ASSERT_TRUE(source.stop_for_switchover());
            ASSERT_TRUE(source.release_disks());
        }
        {
            const MachineLock lock(destination);
            ASSERT_TRUE(destination.start_after_load());
        }
        source.operator_force();
    });
    EXPECT_TRUE(noticed("the guest runs twice, on S D"));
}

TEST_F(MachineTest, a_lost_page_is_noticed_when_the_guest_starts) {
    guest.fill(source_memory);
    run([&] {
        {
            const MachineLock lock(source);
            ASSERT_TRUE(source.stop_for_switchover());
            ASSERT_TRUE(source.release_disks());
        }
        const MachineLock lock(destination);
        ASSERT_TRUE(destination.start_after_load());
    });
    EXPECT_TRUE(noticed("D starts with wrong memory"));
    EXPECT_TRUE(noticed("D starts with wrong device state"));
    EXPECT_TRUE(noticed("without having been told the run state"));
}

TEST_F(MachineTest, calls_without_the_lock_are_noticed) {
    run([&] {
        static_cast<void>(source.run_state());
        const MachineLock lock(source);
        world.expect_no_machine_lock("reading");
    });
    EXPECT_TRUE(noticed("run_state without the machine lock"));
    EXPECT_TRUE(noticed("reading by test while it holds the machine lock"));
}

TEST_F(MachineTest, a_machine_of_unknown_owner_runs_only_when_forced) {
    run([&] {
        {
            const MachineLock lock(source);
            ASSERT_TRUE(source.stop_for_switchover());
            source.set_ownership_unknown();
        }
        EXPECT_FALSE(source.operator_cont());
        source.operator_force();
        EXPECT_TRUE(source.guest_runs());
    });
    EXPECT_TRUE(world.violations().empty());
}

TEST_F(MachineTest, the_guest_and_its_shadow_copy_stay_equal) {
    SimDirtySource dirty(world, source_memory, DirtyPlan{});
    guest.fill(source_memory);
    run([&] {
        ASSERT_TRUE(dirty.start());
        for (int i = 0; i < 200; ++i) {
            guest.burst(source_memory, dirty, [] { return true; });
        }
        std::uint64_t bits[1] = {0};
        source.lock();
        ASSERT_TRUE(dirty.collect(0, bits));
        source.unlock();
        EXPECT_NE(bits[0], 0U);
        EXPECT_EQ(bits[0] >> 8, 0U);
        ASSERT_TRUE(dirty.clear(0, PageNumber(0), bits));
        bits[0] = 0;
        source.lock();
        ASSERT_TRUE(dirty.collect(0, bits));
        source.unlock();
        EXPECT_EQ(bits[0], 0U);
        dirty.stop();
    });
    EXPECT_EQ(source_memory.difference(guest.shadow()), "");
    EXPECT_NE(destination_memory.difference(guest.shadow()), "");
    EXPECT_TRUE(world.violations().empty());
}

}  // namespace
}  // namespace godwit::sim
