#include "sim/scheduler.h"

#include <gtest/gtest.h>

#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "sim/sim_executor.h"
#include "sim/sim_waiter.h"

namespace godwit::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class SchedulerTest : public testing::Test {
protected:
    StackPool stacks;
    ScheduleStyle style;
};

TEST_F(SchedulerTest, clock_jumps_to_the_next_timer) {
    Scheduler scheduler(1, style, stacks);
    std::vector<int> order;
    scheduler.spawn(-1, "late", [&] {
        scheduler.sleep_for(seconds(100));
        order.push_back(2);
        scheduler.stop();
    });
    scheduler.spawn(-1, "early", [&] {
        scheduler.sleep_for(seconds(10));
        order.push_back(1);
    });
    EXPECT_EQ(scheduler.run(), Stuck::no);
    EXPECT_EQ(order, (std::vector<int>{1, 2}));
    EXPECT_GE(scheduler.now(), seconds(100));
    EXPECT_LT(scheduler.now(), seconds(100) + milliseconds(1));
}

TEST_F(SchedulerTest, deadlock_is_reported_with_all_fibers) {
    Scheduler scheduler(1, style, stacks);
    WaitQueue nobody;
    scheduler.spawn(3, "first", [&] { scheduler.wait(nobody, forever, "a miracle"); });
    scheduler.spawn(4, "second", [&] { scheduler.wait(nobody, forever, "the first"); });
    EXPECT_EQ(scheduler.run(), Stuck::deadlock);
    const std::string text = scheduler.describe_fibers();
    EXPECT_NE(text.find("node 3 first: waits for a miracle"), std::string::npos) << text;
    EXPECT_NE(text.find("node 4 second: waits for the first"), std::string::npos) << text;
    // Let them end, so that nothing leaks.
    scheduler.wake_all(nobody);
    scheduler.spawn(-1, "end", [&] {
        scheduler.sleep_for(milliseconds(1));
        scheduler.stop();
    });
    EXPECT_EQ(scheduler.run(), Stuck::no);
}

TEST_F(SchedulerTest, endless_work_is_reported) {
    Scheduler scheduler(1, style, stacks);
    bool end = false;
    scheduler.spawn(-1, "busy", [&] {
        while (!end) {
            scheduler.yield();
        }
        scheduler.stop();
    });
    scheduler.limit_steps(1'000);
    EXPECT_EQ(scheduler.run(), Stuck::too_many_steps);
    end = true;
    scheduler.limit_steps(2'000);
    EXPECT_EQ(scheduler.run(), Stuck::no);
}

TEST_F(SchedulerTest, wait_tells_wake_up_from_timeout) {
    Scheduler scheduler(1, style, stacks);
    WaitQueue queue;
    bool woken = false;
    bool timed_out = false;
    scheduler.spawn(-1, "waiter", [&] {
        woken = scheduler.wait(queue, scheduler.now() + seconds(1), "the waker");
        timed_out = !scheduler.wait(queue, scheduler.now() + seconds(1), "nothing");
        scheduler.stop();
    });
    scheduler.spawn(-1, "waker", [&] {
        scheduler.sleep_for(milliseconds(1));
        scheduler.wake_one(queue);
    });
    EXPECT_EQ(scheduler.run(), Stuck::no);
    EXPECT_TRUE(woken);
    EXPECT_TRUE(timed_out);
    EXPECT_TRUE(queue.empty());
}

std::string interleaving(std::uint64_t seed, StackPool& stacks) {
    ScheduleStyle style;
    style.preempt_percent = 50;
    Scheduler scheduler(seed, style, stacks);
    std::string order;
    int alive = 3;
    for (const char letter : {'a', 'b', 'c'}) {
        scheduler.spawn(-1, "letter", [&, letter] {
            for (int i = 0; i < 10; ++i) {
                order += letter;
                scheduler.maybe_preempt();
            }
            if (--alive == 0) {
                scheduler.stop();
            }
        });
    }
    scheduler.run();
    return order;
}

TEST_F(SchedulerTest, the_seed_decides_the_interleaving) {
    EXPECT_EQ(interleaving(7, stacks), interleaving(7, stacks));
    EXPECT_NE(interleaving(7, stacks), interleaving(8, stacks));
}

TEST_F(SchedulerTest, frozen_nodes_stand_still_until_they_thaw) {
    Scheduler scheduler(1, style, stacks);
    int progress = 0;
    Fiber& worker = scheduler.spawn(5, "worker", [&] {
        for (int i = 0; i < 10; ++i) {
            scheduler.sleep_for(milliseconds(1));
            ++progress;
        }
    });
    scheduler.spawn(-1, "director", [&] {
        scheduler.sleep_for(milliseconds(5) + std::chrono::microseconds(500));
        scheduler.freeze(5);
        const int frozen_at = progress;
        scheduler.sleep_for(seconds(1));
        EXPECT_EQ(progress, frozen_at);
        scheduler.thaw(5);
        scheduler.join(worker);
        EXPECT_EQ(progress, 10);
        scheduler.stop();
    });
    EXPECT_EQ(scheduler.run(), Stuck::no);
}

TEST_F(SchedulerTest, exceptions_stay_within_their_fiber) {
    Scheduler scheduler(1, style, stacks);
    int caught = 0;
    for (int fiber = 0; fiber < 3; ++fiber) {
        scheduler.spawn(-1, "thrower", [&, fiber] {
            for (int i = 0; i < 5; ++i) {
                try {
                    throw std::runtime_error(std::to_string(fiber));
                } catch (const std::runtime_error& error) {
                    scheduler.yield();
                    EXPECT_EQ(error.what(), std::to_string(fiber));
                    ++caught;
                }
            }
            if (caught == 15) {
                scheduler.stop();
            }
        });
    }
    EXPECT_EQ(scheduler.run(), Stuck::no);
    EXPECT_EQ(caught, 15);
}

TEST_F(SchedulerTest, a_taken_mutex_lets_others_run) {
    Scheduler scheduler(1, style, stacks);
    std::mutex mutex;
    int inside = 0;
    int entered = 0;
    for (int fiber = 0; fiber < 4; ++fiber) {
        scheduler.spawn(-1, "locker", [&] {
            for (int i = 0; i < 5; ++i) {
                const std::lock_guard lock(mutex);
                EXPECT_EQ(++inside, 1);
                scheduler.sleep_for(milliseconds(1));
                --inside;
                ++entered;
            }
            if (entered == 20) {
                scheduler.stop();
            }
        });
    }
    EXPECT_EQ(scheduler.run(), Stuck::no);
    EXPECT_EQ(entered, 20);
}

TEST_F(SchedulerTest, hooks_run_before_their_step) {
    Scheduler scheduler(1, style, stacks);
    std::uint64_t seen = 0;
    scheduler.at_step(50, [&] { seen = scheduler.steps(); });
    scheduler.spawn(-1, "busy", [&] {
        while (seen == 0) {
            scheduler.yield();
        }
        scheduler.stop();
    });
    EXPECT_EQ(scheduler.run(), Stuck::no);
    EXPECT_EQ(seen, 50U);
}

TEST_F(SchedulerTest, signals_remember_a_notification) {
    World world(1, style, stacks);
    NodeClock clock(world, seconds(77));
    SimWaiter waiter(world, clock);
    const std::unique_ptr<Signal> signal = waiter.make_signal();
    world.scheduler().spawn(0, "waiter", [&] {
        signal->notify();
        EXPECT_TRUE(signal->wait_until(never));
        const Instant begun = clock.now();
        EXPECT_FALSE(signal->wait_until(begun + seconds(3)));
        EXPECT_GE(clock.now() - begun, seconds(3));
        world.scheduler().stop();
    });
    EXPECT_EQ(world.scheduler().run(), Stuck::no);
    EXPECT_TRUE(world.violations().empty());
}

TEST_F(SchedulerTest, main_loop_runs_tasks_in_order_and_threads_are_joined) {
    World world(1, style, stacks);
    {
        SimExecutor executor(world, 0, "n");
        std::string order;
        world.scheduler().spawn(-1, "test", [&] {
            executor.post([&] { order += 'a'; });
            executor.post([&] { order += 'b'; });
            executor.run_on_main_loop([&] { order += 'c'; });
            Result<std::unique_ptr<Thread>> thread = executor.start_thread("worker", [&] { order += 'd'; });
            ASSERT_TRUE(thread);
            (*thread)->join();
            executor.fail_next_thread();
            EXPECT_FALSE(executor.start_thread("worker", [] {}));
            executor.stop_main_loop();
            executor.wait_for_main_loop();
            world.scheduler().stop();
        });
        EXPECT_EQ(world.scheduler().run(), Stuck::no);
        EXPECT_EQ(order, "abcd");
    }
    EXPECT_TRUE(world.violations().empty());
}

TEST_F(SchedulerTest, a_thread_that_is_not_joined_is_a_violation) {
    World world(1, style, stacks);
    {
        SimExecutor executor(world, 0, "n");
        world.scheduler().spawn(-1, "test", [&] {
            static_cast<void>(executor.start_thread("worker", [] {}));
            executor.stop_main_loop();
            executor.wait_for_main_loop();
            world.scheduler().sleep_for(milliseconds(1));
            world.scheduler().stop();
        });
        EXPECT_EQ(world.scheduler().run(), Stuck::no);
    }
    EXPECT_EQ(world.violations().size(), 2U);
}

}  // namespace
}  // namespace godwit::sim
