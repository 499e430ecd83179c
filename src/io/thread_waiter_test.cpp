#include "io/thread_waiter.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "io/test_support.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

TEST(ThreadWaiter, TimesOutNotBeforeTheDeadline) {
    ThreadWaiter waiter;
    const auto signal = waiter.make_signal();
    const Instant deadline = in(10ms);
    EXPECT_FALSE(signal->wait_until(deadline));
    EXPECT_GE(MonotonicClock().now(), deadline);
    EXPECT_FALSE(signal->wait_until(in(-1s)));
}

TEST(ThreadWaiter, RemembersOneNotification) {
    ThreadWaiter waiter;
    const auto signal = waiter.make_signal();
    signal->notify();
    signal->notify();
    EXPECT_TRUE(signal->wait_until(never));
    EXPECT_FALSE(signal->wait_until(in(1ms)));
}

TEST(ThreadWaiter, ANotificationWinsOverADeadlineThatHasPassed) {
    ThreadWaiter waiter;
    const auto signal = waiter.make_signal();
    signal->notify();
    EXPECT_TRUE(signal->wait_until(in(-1s)));
}

TEST(ThreadWaiter, WakesAWaitWithoutLimit) {
    ThreadWaiter waiter;
    const auto signal = waiter.make_signal();
    std::function<bool()> wait = [&] { return signal->wait_until(never); };
    EXPECT_TRUE(call_and_wake<bool>(wait, [&] { signal->notify(); }));
}

TEST(ThreadWaiter, LosesNoNotification) {
    ThreadWaiter waiter;
    const auto ping = waiter.make_signal();
    const auto pong = waiter.make_signal();
    constexpr int rounds = 2000;
    std::thread other([&] {
        for (int i = 0; i < rounds && ping->wait_until(in(patience)); ++i) {
            pong->notify();
        }
    });
    int answered = 0;
    for (; answered < rounds; ++answered) {
        ping->notify();
        if (!pong->wait_until(in(patience))) {
            break;
        }
    }
    other.join();
    EXPECT_EQ(answered, rounds);
}

}  // namespace
}  // namespace godwit
