// Decisions and small mechanisms that need no migration.
#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "migration/dirty_pages_meter.h"
#include "migration/manifest.h"
#include "migration/rate_limiter.h"
#include "migration/state_table.h"
#include "migration/switchover_policy.h"
#include "migration/throughput_meter.h"

namespace godwit {
namespace {

using std::chrono::milliseconds;

constexpr double gib = 1024.0 * 1024 * 1024;
constexpr std::uint64_t mib = 1024 * 1024;

TEST(SwitchoverPolicy, Table) {
    struct Row {
        const char* what = "";
        SwitchoverInputs inputs;
        bool fits = false;
        bool switch_over = false;
    };
    const milliseconds limit(300);
    const std::array rows{
        Row{"nothing left", {.remaining_bytes = 0, .bandwidth_bytes_per_s = 0}, true, true},
        Row{"bandwidth unknown",
            {.remaining_bytes = 1, .bandwidth_bytes_per_s = 0, .downtime_limit = limit},
            false,
            false},
        Row{"does not fit",
            {.remaining_bytes = 1024 * mib, .bandwidth_bytes_per_s = gib, .downtime_limit = limit},
            false,
            false},
        Row{"fits, idle guest: another pass saves nearly all",
            {.remaining_bytes = 100 * mib,
             .bandwidth_bytes_per_s = gib,
             .dirty_bytes_per_s = 0,
             .downtime_limit = limit},
            true,
            false},
        Row{"fits, would save less than 1 ms",
            {.remaining_bytes = mib, .bandwidth_bytes_per_s = gib, .dirty_bytes_per_s = 0, .downtime_limit = limit},
            true,
            true},
        Row{"fits, dirtied nearly as fast as the link is: saves less than an eighth",
            {.remaining_bytes = 100 * mib,
             .bandwidth_bytes_per_s = gib,
             .dirty_bytes_per_s = gib * 0.9,
             .downtime_limit = limit},
            true,
            true},
        Row{"fits, dirtied at four fifths of the link: saves a fifth",
            {.remaining_bytes = 100 * mib,
             .bandwidth_bytes_per_s = gib,
             .dirty_bytes_per_s = gib * 0.8,
             .downtime_limit = limit},
            true,
            false},
        Row{"patience of 100 ms is over",
            {.remaining_bytes = 100 * mib,
             .bandwidth_bytes_per_s = gib,
             .dirty_bytes_per_s = 0,
             .downtime_limit = limit,
             .elapsed = milliseconds(500),
             .since_first_fit = milliseconds(100)},
            true,
            true},
        Row{"a tenth of a long migration is more than 100 ms",
            {.remaining_bytes = 100 * mib,
             .bandwidth_bytes_per_s = gib,
             .dirty_bytes_per_s = 0,
             .downtime_limit = limit,
             .elapsed = milliseconds(5000),
             .since_first_fit = milliseconds(100)},
            true,
            false},
        Row{"would fit the limit, but not the switchover's time-out with room to spare",
            {.remaining_bytes = 3 * 1024 * mib,
             .bandwidth_bytes_per_s = gib,
             .downtime_limit = milliseconds(10'000),
             .switchover_timeout = milliseconds(5000)},
            false,
            false},
        Row{"first-fit stops as soon as it fits",
            {.policy = SwitchoverPolicy::first_fit,
             .remaining_bytes = 100 * mib,
             .bandwidth_bytes_per_s = gib,
             .dirty_bytes_per_s = 0,
             .downtime_limit = limit},
            true,
            true},
        Row{"the devices' state has to fit, too",
            {.remaining_bytes = 300 * mib,
             .device_bytes = 100 * mib,
             .bandwidth_bytes_per_s = gib,
             .downtime_limit = limit},
            false,
            false},
        Row{"and the way to and fro",
            {.remaining_bytes = 250 * mib,
             .bandwidth_bytes_per_s = gib,
             .fixed_cost = milliseconds(100),
             .downtime_limit = limit},
            false,
            false},
        Row{"which takes half of the limit at most",
            {.remaining_bytes = mib,
             .bandwidth_bytes_per_s = gib,
             .fixed_cost = milliseconds(1000),
             .downtime_limit = milliseconds(20)},
            true,
            true},
        Row{"limit 0 accepts only nothing", {.remaining_bytes = 4096, .bandwidth_bytes_per_s = gib}, false, false},
    };
    for (const Row& row : rows) {
        const SwitchoverDecision decision = decide_switchover(row.inputs);
        EXPECT_EQ(decision.fits, row.fits) << row.what;
        EXPECT_EQ(decision.switch_over, row.switch_over) << row.what;
    }
}

TEST(SwitchoverPolicy, PredictsTheWholeStop) {
    const SwitchoverDecision decision = decide_switchover({.remaining_bytes = 50 * mib,
                                                           .device_bytes = 50 * mib,
                                                           .bandwidth_bytes_per_s = 1000.0 * mib,
                                                           .fixed_cost = milliseconds(7),
                                                           .downtime_limit = milliseconds(300)});
    EXPECT_EQ(decision.transfer_time, milliseconds(100));
    EXPECT_EQ(decision.expected_downtime, milliseconds(107));
    EXPECT_EQ(decide_switchover({.fixed_cost = milliseconds(2)}).expected_downtime, milliseconds(2));
    EXPECT_EQ(decide_switchover({.remaining_bytes = 1}).expected_downtime, Duration::max());
}

TEST(RateLimiter, WritesAreNoLargerThanABurst) {
    RateLimiter limiter;
    EXPECT_EQ(limiter.largest_write().value(), std::numeric_limits<std::uint64_t>::max());
    const Instant start{std::chrono::seconds(1)};
    limiter.set_limit(100 * mib, start);
    EXPECT_EQ(limiter.largest_write(), ByteCount(mib));
    limiter.set_limit(std::numeric_limits<std::int64_t>::max(), start);
    EXPECT_GT(limiter.largest_write().value(), std::uint64_t{1} << 40);
    limiter.set_limit(1, start);
    EXPECT_EQ(limiter.largest_write(), ByteCount(1));
}

TEST(DirtyPagesMeter, AveragesOverASecond) {
    DirtyPagesMeter meter;
    const Instant start{std::chrono::seconds(5)};
    EXPECT_EQ(meter.pages_per_s(), 0);
    meter.start(start);
    meter.collected(start, PageCount(10));
    EXPECT_EQ(meter.pages_per_s(), 0) << "no time has passed";
    meter.collected(start + milliseconds(100), PageCount(40));
    EXPECT_EQ(meter.pages_per_s(), 500);
    meter.collected(start + milliseconds(1000), PageCount(950));
    EXPECT_EQ(meter.pages_per_s(), 1000);
    meter.collected(start + milliseconds(1010), PageCount(500));
    EXPECT_EQ(meter.pages_per_s(), 1000) << "ten milliseconds say little";
    meter.collected(start + milliseconds(3000), PageCount(500));
    EXPECT_EQ(meter.pages_per_s(), 500);
    meter.collected(start + milliseconds(4000), PageCount(0));
    EXPECT_EQ(meter.pages_per_s(), 0);
}

TEST(ThroughputMeter, TimeAsleepDoesNotCountForTheChannel) {
    ThroughputMeter meter;
    Instant now{std::chrono::seconds(1)};
    meter.start(now, 0, 0);
    EXPECT_EQ(meter.awake_bytes_per_s(), 0);
    std::uint64_t bytes = 0;
    for (int i = 0; i < 30; ++i) {
        now += milliseconds(10);
        bytes += 1000;
        meter.update(now, bytes, 0);
        now += milliseconds(30);
        meter.slept(milliseconds(30));
        meter.update(now, bytes, 0);
    }
    EXPECT_NEAR(meter.awake_bytes_per_s(), 100'000, 5'000);
    EXPECT_NEAR(meter.bytes_per_s(), 25'000, 1'500);
    for (int i = 0; i < 30; ++i) {
        now += milliseconds(50);
        meter.slept(milliseconds(50));
        meter.update(now, bytes, 0);
    }
    EXPECT_EQ(meter.awake_bytes_per_s(), 0) << "nothing sent, all asleep";
}

TEST(RateLimiter, GivesTheBudgetOverAnySecond) {
    const Instant start{std::chrono::seconds(10)};
    for (std::uint64_t limit : {100'000UL, 33'554'432UL, 2'147'483'648UL}) {
        RateLimiter limiter;
        limiter.set_limit(limit, start);
        Instant now = start;
        std::uint64_t sent = 0;
        while (now < start + std::chrono::seconds(5)) {
            const std::uint64_t budget = limiter.budget(now).value();
            if (budget == 0) {
                now = limiter.next_budget_at(now) + std::chrono::microseconds(300);  // sleeps end late
                continue;
            }
            limiter.spend(ByteCount(std::max<std::uint64_t>(budget, 4104)));  // a page is the least that leaves
            sent += std::max<std::uint64_t>(budget, 4104);
        }
        EXPECT_NEAR(static_cast<double>(sent), 5.0 * static_cast<double>(limit),
                    0.03 * 5.0 * static_cast<double>(limit))
            << limit;
    }
}

TEST(RateLimiter, UnlimitedAndTinyLimitsWork) {
    RateLimiter limiter;
    const Instant start{};
    EXPECT_GT(limiter.budget(start).value(), std::uint64_t{1} << 60);
    limiter.set_limit(1, start);
    EXPECT_EQ(limiter.budget(start).value(), 0U);
    EXPECT_GE(limiter.next_budget_at(start) - start, std::chrono::milliseconds(999));
    limiter.spend(ByteCount(4104));
    EXPECT_GE(limiter.next_budget_at(start) - start, std::chrono::seconds(4104));
}

TEST(ThroughputMeter, MeasuresTheLastSecondAndNeverDividesByZero) {
    ThroughputMeter meter;
    Instant now{std::chrono::seconds(1)};
    meter.start(now, 0, 0);
    EXPECT_EQ(meter.bytes_per_s(), 0.0);
    meter.update(now, 100, 1);
    EXPECT_EQ(meter.bytes_per_s(), 0.0);
    std::uint64_t bytes = 0;
    for (int i = 0; i < 300; ++i) {
        now += milliseconds(10);
        bytes += i < 150 ? 10'000 : 20'000;
        meter.update(now, bytes, bytes / 1000);
    }
    EXPECT_NEAR(meter.bytes_per_s(), 2e6, 1e4);
    EXPECT_NEAR(meter.pages_per_s(), 2e3, 1e2);
}

class Recorder : public Listener {
public:
    Status state_changed(MigrationState from, MigrationState to) override {
        seen.emplace_back(from, to);
        return refuse ? fail(ErrorCode::listener_refused, "no") : Status();
    }
    std::vector<std::pair<MigrationState, MigrationState>> seen;
    bool refuse = false;
};

TEST(StateMachine, OnlyTheWinnerIsToldAndListenersHearEachTransitionOnce) {
    StateMachine states;
    Recorder recorder;
    states.add(recorder);
    EXPECT_TRUE(states.transition(MigrationState::none, MigrationState::setup));
    EXPECT_FALSE(states.transition(MigrationState::none, MigrationState::setup));
    EXPECT_TRUE(states.transition(MigrationState::setup, MigrationState::cancelling));
    EXPECT_FALSE(states.transition(MigrationState::setup, MigrationState::active));
    EXPECT_EQ(states.get(), MigrationState::cancelling);
    EXPECT_EQ(recorder.seen.size(), 2U);
    recorder.refuse = true;
    Status refusal;
    EXPECT_TRUE(states.transition(MigrationState::cancelling, MigrationState::cancelled, &refusal));
    EXPECT_FALSE(refusal);
    states.remove(recorder);
}

TEST(StateMachine, EveryStateCanBeLeftOrIsFinalAndNothingSkipsSetup) {
    for (const Transition& transition : allowed_transitions()) {
        EXPECT_NE(transition.from, transition.to);
        if (transition.from == MigrationState::none || is_final(transition.from)) {
            EXPECT_EQ(transition.to, MigrationState::setup);
        }
    }
    EXPECT_FALSE(is_allowed(MigrationState::handing_over, MigrationState::cancelling))
        << "after the commit it is too late";
    EXPECT_FALSE(is_allowed(MigrationState::active, MigrationState::completed));
}

Manifest sample_manifest() {
    return Manifest{"0.1.0", "microvm", {{"microvm.ram", 64 * mib, true}}, {{"cpu", 2}, {"serial", 1}}};
}

TEST(Manifest, RoundTripAndUnknownFieldsAreIgnored) {
    const std::string json = to_json(sample_manifest());
    Result<Manifest> parsed = parse_manifest(json);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(to_json(*parsed), json);
    EXPECT_TRUE(parse_manifest(R"({"machine":"none","new":[1,2]})"));
    for (const char* bad :
         {"", "[", "[1]", R"({"ram":[{}]})", R"({"ram":[{"id":"a","bytes":"x"}]})", R"({"devices":{"cpu":"x"}})",
          R"({"devices":{"cpu":184467440737095516151}})", R"({"devices":{"cpu":4294967296}})",
          R"({"devices":{"cpu":-1}})", R"({"devices":{"cpu":1.5}})", R"({"ram":[{"id":"a","bytes":-4096}]})"}) {
        EXPECT_FALSE(parse_manifest(bad)) << bad;
    }
}

TEST(Manifest, StaysWithinTheMessageLimit) {
    Manifest manifest = sample_manifest();
    for (int i = 0; i < 300; ++i) {
        manifest.devices["device-with-a-long-name-" + std::to_string(i)] = 1;
    }
    EXPECT_LE(to_json(manifest).size(), 4096U);
    EXPECT_EQ(parse_manifest(to_json(manifest))->ram.size(), 1U);
}

TEST(Preflight, NamesWhatDoesNotFit) {
    const Manifest here = sample_manifest();
    EXPECT_TRUE(check_preflight(here, here));
    const auto refusal = [&](auto change) {
        Manifest there = sample_manifest();
        change(there);
        const Status status = check_preflight(here, there);
        EXPECT_FALSE(status);
        return status ? std::string() : status.error().text();
    };
    EXPECT_NE(refusal([](Manifest& m) { m.machine_type = "none"; }).find("\"none\""), std::string::npos);
    EXPECT_NE(refusal([](Manifest& m) { m.ram[0].bytes = 1; }).find("--memory"), std::string::npos);
    EXPECT_NE(refusal([](Manifest& m) { m.ram[0].id = "x"; }).find("microvm.ram"), std::string::npos);
    EXPECT_NE(refusal([](Manifest& m) { m.devices["cpu"] = 1; }).find("--cpus"), std::string::npos);
}

}  // namespace
}  // namespace godwit
