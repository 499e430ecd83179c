#include "tools/trace_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "stream/testing.h"
#include "tools/trace_testing.h"

namespace godwit {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using std::chrono::milliseconds;

class TraceWriterTest : public ::testing::Test {
protected:
    std::unique_ptr<TraceFile> make(const std::string& where) {
        auto file = TraceFile::create(where, {"source", "vm \"1\"\n"}, clock, log);
        EXPECT_TRUE(file) << file.error().text();
        return file ? std::move(*file) : nullptr;
    }

    const TraceDirectory directory;
    const std::string path = directory / "trace";
    ManualClock clock;
    LogLines log;
    MigrationStatistics statistics;
};

SwitchoverReport a_decision() {
    SwitchoverReport report;
    report.remaining_bytes = 8192;
    report.device_bytes = 777;
    report.fixed_cost = milliseconds(2);
    report.bandwidth_bytes_per_s = 1e9;
    report.dirty_bytes_per_s = 5e6;
    report.downtime_limit = milliseconds(300);
    report.switchover_timeout = milliseconds(5000);
    report.elapsed = milliseconds(1500);
    report.fits = report.switch_over = true;
    report.expected_downtime = milliseconds(7);
    return report;
}

TEST_F(TraceWriterTest, WhatIsWrittenIsReadBack) {
    auto file = make(path);
    TraceWriter writer(*file, "source", [this] { return statistics; });
    EXPECT_TRUE(writer.state_changed(MigrationState::none, MigrationState::setup));
    clock.advance(milliseconds(10));
    EXPECT_TRUE(writer.state_changed(MigrationState::setup, MigrationState::active));
    writer.pass_started(1);
    writer.window_closed({4096, 2, 12288, milliseconds(100), milliseconds(40), DiskWindow{1024, 2048}});
    writer.throttle_changed(20);
    writer.convergence_changed({.verdict = ConvergenceVerdict::stalled, .advice = "raise \"it\""});
    writer.bitmap_synced({3, 12288, milliseconds(1500)});
    writer.switchover_decided(a_decision());
    writer.handover_step(HandoverStep::source_stopped);
    statistics.state = MigrationState::failed;
    statistics.transferred_bytes = 4711;
    statistics.downtime = milliseconds(8);
    statistics.disk = DiskStatistics{.transferred_bytes = 5000, .remaining_bytes = 2048, .total_bytes = 7000};
    statistics.error = Error{ErrorCode::peer_closed, "it said \"no\"\n\xff", "try again"};
    EXPECT_TRUE(writer.state_changed(MigrationState::active, MigrationState::handing_over));
    EXPECT_TRUE(writer.state_changed(MigrationState::handing_over, MigrationState::failed));

    const auto trace = read_trace(content_of(path));
    ASSERT_TRUE(trace) << trace.error().text();
    EXPECT_EQ(trace->header.name, "vm \"1\"\n");
    EXPECT_EQ(trace->header.role, "source");
    ASSERT_EQ(trace->attempts.size(), 1U);
    const TraceAttempt& attempt = trace->attempts.front();
    EXPECT_EQ(attempt.role, "source");
    ASSERT_EQ(attempt.events.size(), 12U);
    EXPECT_EQ(attempt.since_begin(attempt.events[1]), milliseconds(10));
    EXPECT_EQ(attempt.last<TracePass>()->pass, 1U);
    EXPECT_EQ(attempt.last<WindowReport>()->bytes, 4096U);
    EXPECT_EQ(attempt.last<WindowReport>()->asleep, milliseconds(40));
    ASSERT_TRUE(attempt.last<WindowReport>()->disk);
    EXPECT_EQ(attempt.last<WindowReport>()->disk->bytes, 1024U);
    EXPECT_EQ(attempt.last<WindowReport>()->disk->remaining_bytes, 2048U);
    EXPECT_EQ(attempt.last<TraceThrottle>()->percent, 20U);
    EXPECT_EQ(attempt.last<TraceConvergence>()->verdict, "stalled");
    EXPECT_EQ(attempt.last<TraceConvergence>()->advice, "raise \"it\"");
    EXPECT_EQ(attempt.last<SyncReport>()->dirtied_pages, 3U);
    const SwitchoverReport& decision = *attempt.last<SwitchoverReport>();
    EXPECT_EQ(decision.device_bytes, 777U);
    EXPECT_EQ(decision.fixed_cost, milliseconds(2));
    EXPECT_EQ(decision.dirty_bytes_per_s, 5e6);
    EXPECT_EQ(decision.expected_downtime, milliseconds(7));
    EXPECT_FALSE(decision.since_first_fit);
    EXPECT_TRUE(decision.switch_over);
    EXPECT_EQ(attempt.last<TraceStep>()->step, "source-stopped");
    EXPECT_EQ(attempt.last<TraceState>()->from, "handing_over");
    const TraceEnd& end = *attempt.last<TraceEnd>();
    EXPECT_EQ(end.state, "failed");
    EXPECT_EQ(end.transferred_bytes, 4711U);
    EXPECT_EQ(end.downtime, milliseconds(8));
    EXPECT_EQ(end.disk_transferred_bytes, 5000U);
    EXPECT_EQ(end.error_code, "peer-closed");
    EXPECT_EQ(end.error, "it said \"no\"\n\xef\xbf\xbd");
    EXPECT_TRUE(log.lines.empty());
}

TEST_F(TraceWriterTest, TransitionsAndStepsAreInTheFileAtOnceOthersLater) {
    auto file = make(path);
    TraceWriter writer(*file, "source", [this] { return statistics; });
    const auto lines = [this] {
        const std::string text = content_of(path);
        return std::count(text.begin(), text.end(), '\n');
    };
    EXPECT_EQ(lines(), 1);
    writer.pass_started(1);
    EXPECT_EQ(lines(), 1);
    writer.handover_step(HandoverStep::source_stopping);
    EXPECT_EQ(lines(), 3);
    writer.pass_started(2);
    file.reset();
    EXPECT_EQ(lines(), 4);
}

TEST_F(TraceWriterTest, OnlyTheOwnerMayReadTheFile) {
    const auto file = make(path);
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(TraceWriterTest, AFileThatCannotBeMadeIsRefused) {
    const auto nowhere = TraceFile::create(directory / "missing/trace", {"source", ""}, clock, log);
    ASSERT_FALSE(nowhere);
    EXPECT_EQ(nowhere.error().code, ErrorCode::io);
    EXPECT_NE(nowhere.error().message.find("missing/trace"), std::string::npos);
    EXPECT_FALSE(TraceFile::create("/dev/full", {"source", ""}, clock, log));
    // Nobody reads it, and nobody is waited for.
    const std::string pipe = directory / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    EXPECT_FALSE(TraceFile::create(pipe, {"source", ""}, clock, log));
}

TEST_F(TraceWriterTest, AnErrorIsLoggedOnceAndTheMigrationGoesOn) {
    const std::string pipe = directory / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ASSERT_GE(reader, 0);
    auto file = make(pipe);
    TraceWriter writer(*file, "source", [this] { return statistics; });
    // More than a pipe holds.
    for (int i = 0; i < 10'000; ++i) {
        writer.handover_step(HandoverStep::source_sent);
    }
    ASSERT_EQ(log.lines.size(), 1U);
    EXPECT_NE(log.lines[0].find("the migration is not affected"), std::string::npos) << log.lines[0];
    EXPECT_TRUE(writer.state_changed(MigrationState::none, MigrationState::setup));
    ::close(reader);
}

}  // namespace
}  // namespace godwit
