#include "io/event_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "io/test_support.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

struct Pipe {
    Pipe() {
        std::array<int, 2> ends{};
        EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
        read_end.reset(ends[0]);
        write_end.reset(ends[1]);
    }
    void put() const { EXPECT_EQ(::write(write_end.get(), "x", 1), 1); }
    void get() const {
        char byte = 0;
        EXPECT_EQ(::read(read_end.get(), &byte, 1), 1);
    }
    FileDescriptor read_end;
    FileDescriptor write_end;
};

/// Ends a loop that hangs, and the test with a failure.
void guard(EventLoop& loop) {
    loop.call_at(in(patience), [&loop] {
        ADD_FAILURE() << "the loop did not end by itself";
        loop.quit();
    });
}

TEST(EventLoop, RunsTasksInTheOrderInWhichTheyWerePosted) {
    EventLoop loop;
    guard(loop);
    std::vector<int> order;
    for (int i = 0; i < 5; ++i) {
        loop.post([&order, i] { order.push_back(i); });
    }
    EXPECT_TRUE(order.empty()) << "a task ran inside post";
    loop.post([&loop] { loop.quit(); });
    loop.run();
    EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4}));
}

TEST(EventLoop, WakesUpForTasksFromOtherThreads) {
    EventLoop loop;
    guard(loop);
    constexpr int threads = 4;
    constexpr int tasks_each = 1000;
    int done = 0;  // the loop's thread only
    std::vector<std::unique_ptr<Thread>> posters;
    for (int t = 0; t < threads; ++t) {
        auto thread = loop.start_thread("poster", [&] {
            for (int i = 0; i < tasks_each; ++i) {
                loop.post([&] {
                    if (++done == threads * tasks_each) {
                        loop.quit();
                    }
                });
            }
        });
        ASSERT_OK(thread);
        posters.push_back(std::move(*thread));
    }
    loop.run();
    EXPECT_EQ(done, threads * tasks_each);
    for (auto& poster : posters) {
        poster->join();
    }
}

TEST(EventLoop, ATaskThatPostsItselfStarvesNobody) {
    EventLoop loop;
    guard(loop);
    Pipe pipe;
    std::function<void()> again = [&] { loop.post(again); };
    loop.post(again);
    int fired = 0;
    loop.watch(pipe.read_end.get(), POLLIN, [&](short) {
        pipe.get();
        loop.call_at(in(1ms), [&] {
            ++fired;
            loop.quit();
        });
    });
    pipe.put();
    loop.run();
    EXPECT_EQ(fired, 1);
}

TEST(EventLoop, TellsWhatHappenedToADescriptor) {
    EventLoop loop;
    guard(loop);
    Pipe pipe;
    std::vector<short> seen;
    int id = -1;
    id = loop.watch(pipe.read_end.get(), POLLIN, [&](short revents) {
        seen.push_back(revents);
        if ((revents & POLLIN) != 0) {
            pipe.get();
            pipe.write_end.reset();
        } else {
            loop.unwatch(id);
            loop.quit();
        }
    });
    pipe.put();
    loop.run();
    ASSERT_EQ(seen.size(), 2U);
    EXPECT_NE(seen[0] & POLLIN, 0);
    EXPECT_NE(seen[1] & POLLHUP, 0);
}

TEST(EventLoop, ACallbackMayRemoveItselfAndOthers) {
    EventLoop loop;
    guard(loop);
    Pipe first;
    Pipe second;
    int calls = 0;
    std::array<int, 2> ids{};
    const auto callback = [&, token = std::make_shared<int>(7)](short) {
        ++calls;
        loop.unwatch(ids[0]);
        loop.unwatch(ids[1]);
        // The callback and what it holds live until it returns.
        EXPECT_EQ(*token, 7);
        loop.post([&loop] { loop.quit(); });
    };
    ids[0] = loop.watch(first.read_end.get(), POLLIN, callback);
    ids[1] = loop.watch(second.read_end.get(), POLLIN, callback);
    first.put();
    second.put();
    loop.run();
    EXPECT_EQ(calls, 1);
    loop.unwatch(ids[0]);
}

TEST(EventLoop, ADescriptorCanHaveSeveralWatches) {
    EventLoop loop;
    guard(loop);
    Pipe pipe;
    pipe.put();
    int readable = 0;
    loop.watch(pipe.read_end.get(), POLLIN, [&](short) { ++readable; });
    loop.watch(pipe.read_end.get(), POLLIN, [&](short) {
        if (++readable >= 2) {
            loop.quit();
        }
    });
    loop.run();
    EXPECT_EQ(readable, 2);
}

TEST(EventLoop, TimersFireInTheirOrderAndNotBefore) {
    EventLoop loop;
    guard(loop);
    std::vector<int> order;
    const Instant start = in(0ms);
    loop.call_at(start + 20ms, [&] {
        order.push_back(3);
        EXPECT_GE(MonotonicClock().now(), start + 20ms);
        loop.quit();
    });
    loop.call_at(start + 10ms, [&] { order.push_back(1); });
    loop.call_at(start + 10ms, [&] { order.push_back(2); });
    loop.call_at(never, [&] { order.push_back(4); });
    loop.run();
    EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

TEST(EventLoop, ATimerMayBeCancelledByAnotherOneThatIsDue) {
    EventLoop loop;
    guard(loop);
    bool fired = false;
    int second = -1;
    loop.call_at(in(1ms), [&] { loop.cancel_timer(second); });
    second = loop.call_at(in(1ms), [&] { fired = true; });
    loop.call_at(in(2ms), [&] { loop.quit(); });
    std::this_thread::sleep_for(5ms);
    loop.run();
    EXPECT_FALSE(fired);
    loop.cancel_timer(second);
}

TEST(EventLoop, ATimerInThePastFiresAtOnceAndMaySetItselfAgain) {
    EventLoop loop;
    guard(loop);
    int fired = 0;
    std::function<void()> tick = [&] {
        if (++fired == 3) {
            loop.quit();
        } else {
            loop.call_at(in(-1s), tick);
        }
    };
    loop.call_at(in(-1s), tick);
    loop.run();
    EXPECT_EQ(fired, 3);
}

TEST(EventLoop, QuitBeforeRunIsRememberedOnce) {
    EventLoop loop;
    guard(loop);
    int runs = 0;
    loop.quit();
    loop.post([&] {
        ++runs;
        loop.quit();
    });
    loop.run();
    EXPECT_EQ(runs, 0);
    loop.run();
    EXPECT_EQ(runs, 1);
}

TEST(EventLoop, QuitFromAnotherThreadWakesIt) {
    EventLoop loop;
    guard(loop);
    auto thread = loop.start_thread("quitter", [&] { loop.quit(); });
    ASSERT_OK(thread);
    loop.run();
    (*thread)->join();
    (*thread)->join();
}

TEST(EventLoop, ThreadsCarryTheirName) {
    EventLoop loop;
    std::array<char, 16> name{};
    auto thread =
        loop.start_thread("fifteen-letters", [&] { ::pthread_getname_np(::pthread_self(), name.data(), name.size()); });
    ASSERT_OK(thread);
    (*thread)->join();
    EXPECT_STREQ(name.data(), "fifteen-letters");
}

using EventLoopDeathTest = ::testing::Test;

TEST(EventLoopDeathTest, SaysSoWhenAWatchedDescriptorIsClosed) {
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_DEATH(
        {
            EventLoop loop;
            Pipe pipe;
            loop.watch(pipe.read_end.get(), POLLIN, [](short) {});
            pipe.read_end.reset();
            loop.run();
        },
        "closed while it was watched");
}

}  // namespace
}  // namespace godwit
