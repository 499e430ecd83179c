// A cancel raced against completion and failure with real threads and tiny memory, thousands of times. Built with the
// thread sanitizer it finds races that a simulation in one thread cannot have.

#include <fmt/format.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "godwit/migration.h"
#include "real/memory_channel.h"
#include "real/tiny_machine.h"
#include "sim/random.h"

namespace godwit::race {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

bool is_final(MigrationState state) {
    return state == MigrationState::completed || state == MigrationState::failed || state == MigrationState::cancelled;
}

/// Lets the test wait for the end, and for a moment at which to cancel.
class Watcher : public Listener {
public:
    Status state_changed(MigrationState, MigrationState to) override {
        const std::lock_guard lock(mutex_);
        state_ = to;
        changed_.notify_all();
        return {};
    }
    void handover_step(HandoverStep step) override {
        const std::lock_guard lock(mutex_);
        step_ = static_cast<int>(step);
        changed_.notify_all();
    }
    /// False if it has not ended by then.
    bool wait_for_end(Duration limit) {
        std::unique_lock lock(mutex_);
        return wait_for(changed_, lock, RealClock().now() + limit, [this] { return is_final(state_); });
    }
    void wait_for_step(int step) {
        std::unique_lock lock(mutex_);
        wait_for(changed_, lock, RealClock().now() + seconds(5), [&] { return step_ >= step || is_final(state_); });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    MigrationState state_ = MigrationState::none;  // under mutex_
    int step_ = -1;                                // under mutex_
};

/// When the cancel comes.
struct Moment {
    bool at_step = false;
    int step = 0;
    Duration delay{};
};

struct Tally {
    std::uint64_t completed = 0;
    std::uint64_t failed = 0;
    std::uint64_t cancelled = 0;
    std::uint64_t too_late = 0;
    std::uint64_t unknown = 0;
};

class Race {
public:
    Race(std::uint64_t seed, Duration usual_time) : random_(seed), usual_time_(usual_time) {}

    void run(RealExecutor& source_loop, RealExecutor& destination_loop, Tally& tally);
    const std::vector<std::string>& problems() const { return problems_; }
    /// How long it took, when it completed.
    Duration time() const { return time_; }

private:
    void expect(bool condition, const std::string& text) {
        if (!condition) {
            problems_.push_back(text);
        }
    }
    Moment choose_moment();
    void judge(const TinyMachine& source, const TinyMachine& destination, MigrationState outcome,
               MigrationState incoming, bool cancel_won);

    sim::Random random_;
    Duration usual_time_;
    Duration time_{};
    std::vector<std::string> problems_;
};

Moment Race::choose_moment() {
    Moment moment;
    moment.at_step = random_.percent(60);
    moment.step = static_cast<int>(random_.below(7));
    const std::uint64_t longest =
        moment.at_step ? 300'000 : static_cast<std::uint64_t>(usual_time_.count()) * 5 / 4 + 1;
    moment.delay = Duration(static_cast<std::int64_t>(random_.percent(30) ? 0 : random_.below(longest)));
    return moment;
}

void Race::judge(const TinyMachine& source, const TinyMachine& destination, MigrationState outcome,
                 MigrationState incoming, bool cancel_won) {
    expect(is_final(outcome), fmt::format("the source's state is {}", to_string(outcome)));
    expect(is_final(incoming), fmt::format("the destination's state is {}", to_string(incoming)));
    expect(!cancel_won || outcome == MigrationState::cancelled, fmt::format("cancelled, but {}", to_string(outcome)));
    if (outcome == MigrationState::completed) {
        expect(destination.guest_runs() && !source.guest_runs(),
               "completed, but the guest does not run at the destination");
    } else if (!source.ownership_unknown()) {
        expect(source.guest_runs(), fmt::format("{}, but the guest does not run at the source", to_string(outcome)));
        expect(!destination.guest_runs(), "the guest runs at the destination, and the source has it too");
    }
    if (!source.guest_runs() && !destination.guest_runs()) {
        expect(source.ownership_unknown(), "the guest runs nowhere, and the source knows of nothing");
    }
}

void Race::run(RealExecutor& source_loop, RealExecutor& destination_loop, Tally& tally) {
    Faults faults;
    std::atomic<int> running_guests{0};
    RealClock clock;
    RealWaiter waiter;
    NoLog log;
    auto link = std::make_shared<MemoryLink>();
    if (random_.percent(35)) {
        link->break_after = random_.between(1, 30'000);
    }
    TinyMachine source(faults, running_guests, RunState::running);
    TinyMachine destination(faults, running_guests, RunState::inmigrate);
    destination.comes_from = &source;
    Watcher source_watcher;
    Watcher destination_watcher;
    std::unique_ptr<Migration> outgoing;
    std::unique_ptr<IncomingMigration> incoming;
    destination_loop.call([&] {
        incoming = std::make_unique<IncomingMigration>(
            Environment{clock, waiter, destination_loop, destination, destination, log, {}, "tiny", nullptr},
            MigrationParameters{});
        incoming->add_listener(destination_watcher);
        expect(incoming->start(std::make_unique<MemoryOpener>(link, 1)).has_value(), "the destination cannot start");
    });
    const Instant begun = clock.now();
    source_loop.call([&] {
        outgoing = std::make_unique<Migration>(
            Environment{clock, waiter, source_loop, source, source, log, {}, "tiny", &source});
        outgoing->add_listener(source_watcher);
        expect(outgoing->start(std::make_unique<MemoryOpener>(link, 0)).has_value(), "the source cannot start");
    });

    const Moment moment = choose_moment();
    if (moment.at_step) {
        source_watcher.wait_for_step(moment.step);
    }
    for (const Instant due = clock.now() + moment.delay; clock.now() < due;) {
        std::this_thread::yield();
    }
    const Instant cancelled_at = clock.now();
    const Status cancel = outgoing->cancel();
    const bool cancel_won =
        cancel && outgoing->state() != MigrationState::completed && outgoing->state() != MigrationState::failed;
    const bool ended = source_watcher.wait_for_end(seconds(20));
    expect(ended, "the source does not end");
    // Half a second is the promise; the machine may be loaded and the sanitizer slow.
    expect(!cancel_won || clock.now() - cancelled_at < seconds(3), "the cancel took too long");
    const MigrationState outcome = outgoing->state();
    static_cast<void>(outgoing->statistics());
    if (outcome == MigrationState::completed) {
        time_ = clock.now() - begun;
    }
    if (!link->channels.load() && outcome == MigrationState::cancelled) {
        static_cast<void>(incoming->cancel());  // perhaps nobody ever connected
    }
    expect(destination_watcher.wait_for_end(seconds(20)), "the destination does not end");
    source_loop.call([&] { outgoing.reset(); });
    const MigrationState incoming_state = incoming->state();
    destination_loop.call([&] { incoming.reset(); });
    judge(source, destination, outcome, incoming_state, cancel_won);
    expect(link->channels.load() == 0, "a channel was not destroyed");
    for (const std::string& fault : faults.take()) {
        problems_.push_back(fault);
    }
    tally.completed += outcome == MigrationState::completed;
    tally.failed += outcome == MigrationState::failed;
    tally.cancelled += outcome == MigrationState::cancelled;
    tally.too_late += !cancel;
    tally.unknown += source.ownership_unknown();
}

int run_all(std::uint64_t runs, std::uint64_t first_seed, double longest_s) {
    RealExecutor source_loop;
    RealExecutor destination_loop;
    Tally tally;
    Duration usual_time = milliseconds(2);
    const SteadyClock::time_point begun = SteadyClock::now();
    const auto elapsed_s = [&] { return std::chrono::duration<double>(SteadyClock::now() - begun).count(); };
    std::uint64_t done = 0;
    for (; done < runs && (longest_s == 0 || elapsed_s() < longest_s); ++done) {
        Race race(first_seed + done, usual_time);
        race.run(source_loop, destination_loop, tally);
        if (!race.problems().empty()) {
            fmt::print("run with seed {} FAILED (real threads: it may need several tries to happen again)\n",
                       first_seed + done);
            for (const std::string& problem : race.problems()) {
                fmt::print("  {}\n", problem);
            }
            return 1;
        }
        if (race.time() > Duration::zero()) {
            usual_time = (usual_time * 7 + race.time()) / 8;
        }
    }
    fmt::print(
        "{} runs in {:.1f} s: {} completed, {} failed ({} with unknown owner), {} cancelled, {} cancels too late\n",
        done, elapsed_s(), tally.completed, tally.failed, tally.unknown, tally.cancelled, tally.too_late);
    return 0;
}

}  // namespace
}  // namespace godwit::race

/// threads-race [RUNS [FIRST_SEED [SECONDS]]]
int main(int count, char** arguments) {
    const auto number = [&](int index, std::uint64_t otherwise) {
        return count > index ? std::strtoull(arguments[index], nullptr, 10) : otherwise;
    };
    return godwit::race::run_all(number(1, 10'000), number(2, 1), static_cast<double>(number(3, 0)));
}
