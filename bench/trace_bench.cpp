// What a trace costs the thread that it speaks of, per event. A migration has ten windows per second, a collection and
// a decision per pass, and some twenty steps and transitions.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "io/monotonic_clock.h"
#include "tools/trace_writer.h"

namespace {

class Silence : public godwit::Log {
public:
    void write(godwit::LogLevel, std::string_view) override {}
};

/// A trace in the directory for temporary files, as on a real disk.
class Fixture {
public:
    Fixture()
        : path_((std::filesystem::temp_directory_path() / "godwit-trace-bench").string()),
          file_(godwit::TraceFile::create(path_, {"source", "vm"}, clock_, log_).value()) {}
    ~Fixture() { std::filesystem::remove(path_); }
    Fixture(const Fixture&) = delete;
    Fixture& operator=(const Fixture&) = delete;

    godwit::TraceWriter writer() {
        return {*file_, "source", [] { return godwit::MigrationStatistics(); }};
    }

private:
    const std::string path_;
    godwit::MonotonicClock clock_;
    Silence log_;
    std::unique_ptr<godwit::TraceFile> file_;
};

void window(benchmark::State& state) {
    Fixture fixture;
    godwit::TraceWriter writer = fixture.writer();
    const godwit::WindowReport report{123'456'789, 30'000, 1'234'567'890, std::chrono::milliseconds(100),
                                      std::chrono::milliseconds(10)};
    while (state.KeepRunning()) {
        writer.window_closed(report);
    }
}

void end_of_pass(benchmark::State& state) {
    Fixture fixture;
    godwit::TraceWriter writer = fixture.writer();
    const godwit::SyncReport sync{1234, 5'054'464, std::chrono::milliseconds(700)};
    godwit::SwitchoverReport decision;
    decision.bandwidth_bytes_per_s = 1.25e9;
    decision.dirty_bytes_per_s = 7e6;
    decision.expected_downtime = std::chrono::milliseconds(4);
    while (state.KeepRunning()) {
        writer.bitmap_synced(sync);
        writer.switchover_decided(decision);
        writer.pass_started(2);
    }
}

/// With the write to the system.
void step(benchmark::State& state) {
    Fixture fixture;
    godwit::TraceWriter writer = fixture.writer();
    while (state.KeepRunning()) {
        writer.handover_step(godwit::HandoverStep::source_sent);
    }
}

}  // namespace

BENCHMARK(window);
BENCHMARK(end_of_pass);
BENCHMARK(step);

BENCHMARK_MAIN();
