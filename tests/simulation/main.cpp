#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "trial.h"

namespace godwit::sim {
namespace {

struct Options {
    std::uint64_t runs = 1'000;
    std::uint64_t first_seed = 1;
    std::optional<std::uint64_t> seed;
    std::optional<double> seconds;
    std::uint64_t keep_going = 1;
    bool race = false;
    bool trace = false;
    bool statistics = false;
};

constexpr const char* usage =
    "simulation: migrations between two simulated nodes on a virtual clock, from seeds\n"
    "  --runs N          as many seeds (default 1000)\n"
    "  --first-seed S    beginning with this one (default 1)\n"
    "  --seconds T       stop after T seconds, whatever is left\n"
    "  --race-cancel N   N runs in which a cancel races against completion and failure\n"
    "  --seed N          only this seed (after --race-cancel: of that kind)\n"
    "  --trace           print what happens\n"
    "  --keep-going K    stop after K failing seeds (default 1)\n"
    "  --statistics      count the outcomes\n";

[[noreturn]] void end_with_usage(std::string_view problem) {
    fmt::print(stderr, "simulation: {}\n{}", problem, usage);
    std::exit(2);
}

Options parse(int count, char** arguments) {
    Options options;
    for (int i = 1; i < count; ++i) {
        const std::string_view name = arguments[i];
        const auto value = [&]() -> std::uint64_t {
            char* end = nullptr;
            if (++i >= count) {
                end_with_usage(fmt::format("{} needs a number", name));
            }
            const std::uint64_t number = std::strtoull(arguments[i], &end, 10);
            if (end == arguments[i] || *end != '\0') {
                end_with_usage(fmt::format("{} needs a number, not {}", name, arguments[i]));
            }
            return number;
        };
        if (name == "--runs") {
            options.runs = value();
        } else if (name == "--first-seed") {
            options.first_seed = value();
        } else if (name == "--seed") {
            options.seed = value();
        } else if (name == "--seconds") {
            options.seconds = static_cast<double>(value());
        } else if (name == "--keep-going") {
            options.keep_going = value();
        } else if (name == "--race-cancel") {
            options.race = true;
            options.runs = value();
        } else if (name == "--trace") {
            options.trace = true;
        } else if (name == "--statistics") {
            options.statistics = true;
        } else {
            end_with_usage(fmt::format("unknown option {}", name));
        }
    }
    return options;
}

void report(const Options& options, const Plan& plan, const Outcome& outcome) {
    fmt::print("seed {} FAILED ({})\n", plan.seed, outcome.description);
    for (const std::string& violation : outcome.violations) {
        fmt::print("  {}\n", violation);
    }
    fmt::print("  replay: simulation {}--seed {} --trace\n", options.race ? "--race-cancel 1 " : "", plan.seed);
    std::fflush(stdout);
}

/// A violation without its numbers, to count how often its kind occurs.
std::string kind_of(const std::string& violation) {
    std::string kind;
    for (const char c : violation.substr(0, violation.find('\n'))) {
        if (c < '0' || c > '9') {
            kind += c;
        } else if (kind.empty() || kind.back() != '#') {
            kind += '#';
        }
    }
    return kind;
}

std::string summary(const Plan& plan, const Outcome& outcome) {
    return fmt::format("{:<16} {:<12} S {}{}, D {}{}{}{}", to_string(plan.pairing), plan.theme,
                       to_string(outcome.source), outcome.source_unknown ? " (unknown)" : "",
                       to_string(outcome.destination), outcome.destination_unknown ? " (unknown)" : "",
                       outcome.guest_moved ? ", guest moved" : "",
                       outcome.documented_residue ? ", TWO GUESTS (documented)" : "");
}

int run(const Options& options) {
    using SteadyClock = std::chrono::steady_clock;
    const SteadyClock::time_point begun = SteadyClock::now();
    const auto elapsed = [&] { return std::chrono::duration<double>(SteadyClock::now() - begun).count(); };
    Pools pools;
    std::map<std::string, std::uint64_t> counts;
    /// How often, and the first seed.
    std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> kinds;
    std::uint64_t failures = 0;
    std::uint64_t steps = 0;
    std::uint64_t done = 0;
    const std::uint64_t first = options.seed.value_or(options.first_seed);
    const std::uint64_t runs = options.seed ? 1 : options.runs;
    while (done < runs && failures < options.keep_going && (!options.seconds || elapsed() < *options.seconds)) {
        const std::uint64_t seed = first + done;
        const Plan plan = options.race ? make_race_plan(seed) : make_plan(seed);
        const Outcome outcome = run_seed(plan, pools, options.trace);
        ++done;
        ++counts[summary(plan, outcome)];
        ++counts[fmt::format("{:<12} {} passes", "", std::min<std::uint64_t>(outcome.passes, 20))];
        steps += outcome.steps;
        if (!outcome.good()) {
            ++failures;
            for (const std::string& violation : outcome.violations) {
                kinds.try_emplace(kind_of(violation), 0, seed).first->second.first++;
            }
            report(options, plan, outcome);
        } else if (options.seed) {
            fmt::print("seed {}: {}\n{}\n{} steps, {:.3f} ms of virtual time, fingerprint {:016x}\n", seed,
                       outcome.description, summary(plan, outcome), outcome.steps, in_ms(outcome.virtual_time),
                       outcome.fingerprint);
        }
    }
    if (options.statistics) {
        fmt::print("{} steps a run\n", steps / std::max<std::uint64_t>(done, 1));
        for (const auto& [text, count] : counts) {
            fmt::print("{:>8}  {}\n", count, text);
        }
    }
    if (options.keep_going > 1) {
        for (const auto& [kind, found] : kinds) {
            fmt::print("{:>8} times, first seed {}: {}\n", found.first, found.second, kind);
        }
    }
    fmt::print("{} runs from seed {} in {:.1f} s ({:.0f} per second), {} failed\n", done, first, elapsed(),
               static_cast<double>(done) / elapsed(), failures);
    return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace godwit::sim

int main(int count, char** arguments) {
    return godwit::sim::run(godwit::sim::parse(count, arguments));
}
