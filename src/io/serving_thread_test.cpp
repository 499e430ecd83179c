#include "io/serving_thread.h"

#include <gtest/gtest.h>

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

TEST(ServingThread, EndsWithoutWork) {
    EXPECT_TRUE(ServingThread::start("server"));
}

}  // namespace
}  // namespace godwit
