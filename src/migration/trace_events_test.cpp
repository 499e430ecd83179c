#include "godwit/trace_events.h"

#include <gtest/gtest.h>

#include "migration/state_table.h"
#include "migration/switchover_policy.h"
#include "migration/window_tally.h"

namespace godwit {
namespace {

using std::chrono::milliseconds;

class Counter : public Listener {
public:
    void bitmap_synced(const SyncReport& report) override { dirtied += report.dirtied_pages; }
    void window_closed(const WindowReport& report) override { bytes += report.bytes; }
    void switchover_decided(const SwitchoverReport& report) override { decisions += report.switch_over ? 1U : 0U; }
    void throttle_changed(std::uint32_t percent) override { throttle = percent; }

    std::uint64_t dirtied = 0;
    std::uint64_t bytes = 0;
    std::uint64_t decisions = 0;
    std::uint32_t throttle = 0;
};

TEST(TraceEvents, ReachEveryListener) {
    StateMachine states;
    Counter first;
    Counter second;
    Listener deaf;
    states.add(first);
    states.add(deaf);
    states.add(second);
    states.bitmap_synced({.dirtied_pages = 7});
    states.window_closed({.bytes = 100});
    states.switchover_decided({.switch_over = true});
    states.throttle_changed(30);
    for (const Counter* counter : {&first, &second}) {
        EXPECT_EQ(counter->dirtied, 7U);
        EXPECT_EQ(counter->bytes, 100U);
        EXPECT_EQ(counter->decisions, 1U);
        EXPECT_EQ(counter->throttle, 30U);
    }
}

TEST(TraceEvents, ADecisionIsToldWithAllItsInputs) {
    SwitchoverInputs inputs;
    inputs.remaining_bytes = 1 << 20;
    inputs.downtime_limit = milliseconds(300);
    SwitchoverReport report = report_of(inputs, decide_switchover(inputs));
    EXPECT_FALSE(report.expected_downtime);  // the bandwidth is unknown
    EXPECT_FALSE(report.fits);
    inputs.bandwidth_bytes_per_s = 1e9;
    inputs.dirty_bytes_per_s = 1e6;
    inputs.elapsed = milliseconds(500);
    inputs.since_first_fit = milliseconds(200);
    report = report_of(inputs, decide_switchover(inputs));
    EXPECT_EQ(report.remaining_bytes, inputs.remaining_bytes);
    EXPECT_EQ(report.bandwidth_bytes_per_s, 1e9);
    EXPECT_EQ(report.dirty_bytes_per_s, 1e6);
    EXPECT_EQ(report.downtime_limit, milliseconds(300));
    EXPECT_EQ(report.since_first_fit, milliseconds(200));
    EXPECT_EQ(report.expected_downtime, transfer_time(1 << 20, 1e9));
    EXPECT_TRUE(report.fits);
    EXPECT_TRUE(report.switch_over);
}

TEST(WindowTally, CountsWhatCameSinceTheWindowBefore) {
    const Instant begin(milliseconds(1000));
    WindowTally tally;
    tally.start(begin, 50, 1);
    tally.add_sleep(milliseconds(30));
    tally.add_sleep(milliseconds(10));
    WindowReport window = tally.close(begin + milliseconds(100), 250, 4, 4096);
    EXPECT_EQ(window.bytes, 200U);
    EXPECT_EQ(window.pages, 3U);
    EXPECT_EQ(window.remaining_bytes, 4096U);
    EXPECT_EQ(window.length, milliseconds(100));
    EXPECT_EQ(window.asleep, milliseconds(40));
    tally.add_sleep(milliseconds(500));
    window = tally.close(begin + milliseconds(220), 250, 4, 0);
    EXPECT_EQ(window.bytes, 0U);
    EXPECT_EQ(window.asleep, window.length);  // never more than there was
    EXPECT_FALSE(window.disk);
}

TEST(WindowTally, CountsDisksWhereTheyMove) {
    const Instant begin(milliseconds(1000));
    WindowTally tally;
    tally.start(begin, 0, 0, 30);
    WindowReport window = tally.close(begin + milliseconds(100), 250, 4, 4096, DiskStatistics{100, 7, 1000});
    ASSERT_TRUE(window.disk);
    EXPECT_EQ(window.disk->bytes, 70U);
    EXPECT_EQ(window.disk->remaining_bytes, 7U);
    window = tally.close(begin + milliseconds(200), 350, 4, 4096, DiskStatistics{180, 0, 1000});
    EXPECT_EQ(window.disk->bytes, 80U);
    EXPECT_EQ(window.disk->remaining_bytes, 0U);
}

}  // namespace
}  // namespace godwit
