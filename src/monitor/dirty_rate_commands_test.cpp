#include "monitor/dirty_rate_commands.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "io/event_loop.h"
#include "io/monotonic_clock.h"
#include "io/thread_waiter.h"
#include "monitor/command_testing.h"
#include "ram/testing.h"

namespace godwit {
namespace {

class DirtyRateCommandsTest : public ::testing::Test {
protected:
    DirtyRateCommandsTest() { add_dirty_rate_commands(commands_, *meter_); }

    Result<Json> run(const std::string& name, const Json& arguments = Json::object()) {
        return testing::run_command(commands_, client_, name, arguments);
    }
    std::string mistake(const Json& arguments) {
        const auto result = run("calc-dirty-rate", arguments);
        return result ? "no error" : result.error().message;
    }

    testing::VectorMemory memory_{{{"ram", 1024}}};
    MonotonicClock clock_;
    ThreadWaiter waiter_;
    EventLoop loop_;
    std::unique_ptr<DirtyRateMeter> meter_ = std::make_unique<DirtyRateMeter>(clock_, waiter_, loop_, memory_);
    CommandTable commands_;
    testing::NoClient client_;
};

TEST_F(DirtyRateCommandsTest, RefusesInQemusWords) {
    EXPECT_EQ(mistake(Json::object()), "Parameter 'calc-time' is missing");
    for (const int seconds : {-1, 0, 61}) {
        EXPECT_EQ(mistake({{"calc-time", seconds}}), "calc-time is out of range[1, 60].");
    }
    for (const int pages : {-1, 0, 127, 16385}) {
        EXPECT_EQ(mistake({{"calc-time", 1}, {"sample-pages", pages}}), "sample-pages is out of range[128, 16384].");
    }
    EXPECT_EQ(mistake({{"calc-time", 1}, {"mode", "foo"}}), "Parameter 'mode' does not accept value 'foo'");
    EXPECT_EQ(mistake({{"calc-time", 1}, {"mode", "dirty-ring"}, {"sample-pages", 512}}),
              "either sample-pages or dirty-ring can be specified.");
    for (const std::string mode : {"dirty-ring", "dirty-bitmap"}) {
        EXPECT_EQ(mistake({{"calc-time", 1}, {"mode", mode}}),
                  "mode " + mode + " is not enabled, use other method instead.");
    }
    EXPECT_EQ(run("query-dirty-rate"), Json({{"status", "unstarted"},
                                             {"start-time", 0},
                                             {"calc-time", 0},
                                             {"sample-pages", 0},
                                             {"mode", "page-sampling"}}));
}

TEST_F(DirtyRateCommandsTest, MeasuresAndRefusesASecondOneMeanwhile) {
    EXPECT_EQ(run("calc-dirty-rate", {{"calc-time", 1}, {"sample-pages", 16384}}), Json::object());
    Json report = *run("query-dirty-rate");
    EXPECT_EQ(report["status"], "measuring");
    EXPECT_EQ(report["sample-pages"], 16384);
    EXPECT_FALSE(report.contains("dirty-rate"));
    EXPECT_EQ(mistake({{"calc-time", 0}}), "the dirty rate is already being measured.");
    // Writing goes on, so that the second look sees other contents than the first.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (int seed = 0; report["status"] == "measuring" && std::chrono::steady_clock::now() < deadline; ++seed) {
        for (std::size_t page = 0; page < 1024; ++page) {
            auto* byte = reinterpret_cast<volatile unsigned char*>(memory_.blocks()[0].host + page * page_bytes);
            *byte = static_cast<unsigned char>(*byte + 1);
        }
        report = *run("query-dirty-rate");
    }
    EXPECT_EQ(report["status"], "measured");
    EXPECT_EQ(report["calc-time"], 1);
    EXPECT_GT(report["start-time"], 0);
    // All of 4 MiB, but for pages that came round to what they held; within a second, or more on a busy host.
    EXPECT_GE(report["dirty-rate"], 0);
    EXPECT_LE(report["dirty-rate"], 4);
}

TEST_F(DirtyRateCommandsTest, EndsAtOnce) {
    ASSERT_EQ(run("calc-dirty-rate", {{"calc-time", 60}}), Json::object());
    const auto began = std::chrono::steady_clock::now();
    meter_.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
}

}  // namespace
}  // namespace godwit
