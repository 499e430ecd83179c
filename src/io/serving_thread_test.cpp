#include "io/serving_thread.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <thread>
#include <vector>

namespace godwit {
namespace {

TEST(ServingThread, RunsWorkElsewhereAndWaitsForIt) {
    const auto server = ServingThread::start("server").value();
    std::thread::id first;
    std::thread::id second;
    server->call([&] { first = std::this_thread::get_id(); });
    server->call([&] { second = std::this_thread::get_id(); });
    EXPECT_NE(first, std::this_thread::get_id());
    EXPECT_EQ(first, second);
}

TEST(ServingThread, ServesManyCallersOneAfterAnother) {
    const auto server = ServingThread::start("server").value();
    int count = 0;  // unprotected: the server's thread alone touches it
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i) {
        callers.emplace_back([&] {
            for (int j = 0; j < 100; ++j) {
                server->call([&] { ++count; });
            }
        });
    }
    for (std::thread& caller : callers) {
        caller.join();
    }
    server->call([&] { EXPECT_EQ(count, 400); });
}

TEST(ServingThread, KeepsTheProgramsSignalHandlersOff) {
    sigset_t before;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
    const auto server = ServingThread::start("server").value();
    sigset_t inside;
    server->call([&] { ::pthread_sigmask(SIG_SETMASK, nullptr, &inside); });
    for (const int number : {SIGINT, SIGTERM, SIGCHLD, SIGALRM, SIGUSR1, SIGRTMIN + 1}) {
        EXPECT_EQ(::sigismember(&inside, number), 1) << number;
    }
    EXPECT_EQ(::sigismember(&inside, SIGBUS), 0) << "a fault of its own is explained";
    sigset_t after;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
    EXPECT_EQ(::sigismember(&after, SIGUSR1), ::sigismember(&before, SIGUSR1)) << "who starts it keeps its own";
}

TEST(ServingThread, EndsWithoutWork) {
    EXPECT_TRUE(ServingThread::start("server"));
}

}  // namespace
}  // namespace godwit
