#include <fmt/format.h>

#include <chrono>

#include "every_step.h"
#include "tally.h"

namespace godwit::sim {
namespace {

class Stopwatch {
public:
    double elapsed_s() const { return std::chrono::duration<double>(Clock::now() - begun_).count(); }

private:
    using Clock = std::chrono::steady_clock;
    Clock::time_point begun_ = Clock::now();
};

void run_seeds(const Options& options, Pools& pools, Tally& tally, const Stopwatch& watch) {
    struct Maker {
        const char* option;
        Plan (*make)(std::uint64_t);
    };
    const Maker maker = options.kind == Options::Kind::race     ? Maker{"--race-cancel 1 ", make_race_plan}
                        : options.kind == Options::Kind::disks  ? Maker{"--disks 1 ", make_disk_plan}
                        : options.kind == Options::Kind::direct ? Maker{"--direct 1 ", make_direct_plan}
                                                                : Maker{"", make_plan};
    for (std::uint64_t i = 0; i < options.count() && tally.may_go_on(watch.elapsed_s()); ++i) {
        const std::uint64_t seed = options.first() + i;
        const Plan plan = maker.make(seed);
        const Outcome outcome = run_seed(plan, pools, options.trace);
        tally.add(plan, outcome, fmt::format("{}--seed {}", maker.option, seed));
    }
}

/// Every moment of one disturbance.
void run_moments(const Options& options, const Plan& plan, std::uint64_t number, Pools& pools, Tally& tally,
                 const Stopwatch& watch) {
    const Disturbance& disturbance = disturbances()[number];
    const std::string replay = fmt::format("--every-step 1 --seed {} --disturbance {}", plan.seed, number);
    Outcome calm;
    const Moments moments = moments_of(plan, disturbance, pools, calm);
    if (!calm.good()) {
        return tally.add(plan, calm, replay);
    }
    for (std::uint64_t at = options.moment.value_or(moments.first); at < moments.end; at = moments.after(at)) {
        if (!tally.may_go_on(watch.elapsed_s())) {
            return;
        }
        const Outcome outcome = Trial(disturbed(plan, disturbance, at), pools, options.trace).run();
        tally.add(plan, outcome, fmt::format("{} --moment {}", replay, at));
        if (options.moment) {
            return;
        }
    }
}

void run_every_step(const Options& options, Pools& pools, Tally& tally, const Stopwatch& watch) {
    for (std::uint64_t i = 0; i < options.count(); ++i) {
        const Plan plan = make_short_plan(options.first() + i);
        for (std::uint64_t number = 0; number < disturbances().size(); ++number) {
            if (!options.disturbance || *options.disturbance == number) {
                run_moments(options, plan, number, pools, tally, watch);
            }
        }
    }
}

int run(const Options& options) {
    const Stopwatch watch;
    Pools pools;
    Tally tally(options);
    if (options.kind == Options::Kind::every_step) {
        run_every_step(options, pools, tally, watch);
    } else {
        run_seeds(options, pools, tally, watch);
    }
    tally.print(watch.elapsed_s());
    return tally.good() ? 0 : 1;
}

}  // namespace
}  // namespace godwit::sim

int main(int count, char** arguments) {
    return godwit::sim::run(godwit::sim::parse_options(count, arguments));
}
