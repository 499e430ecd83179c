#include "tally.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace godwit::sim {
namespace {

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
    return fmt::format("{:<16} {:<12} {:<12} {:<6} S {}{}, D {}{}{}{}", to_string(plan.pairing), plan.theme,
                       to_string(plan.disk_use), plan.direct() ? "direct" : "", to_string(outcome.source),
                       outcome.source_unknown ? " (unknown)" : "", to_string(outcome.destination),
                       outcome.destination_unknown ? " (unknown)" : "", outcome.guest_moved ? ", guest moved" : "",
                       outcome.documented_residue ? ", TWO GUESTS (documented)" : "");
}

}  // namespace

void Tally::add(const Plan& plan, const Outcome& outcome, const std::string& replay) {
    ++done_;
    ++counts_[summary(plan, outcome)];
    steps_ += outcome.steps;
    if (!outcome.good()) {
        ++failures_;
        fmt::print("seed {} FAILED ({})\n", plan.seed, outcome.description);
        for (const std::string& violation : outcome.violations) {
            fmt::print("  {}\n", violation);
            kinds_.try_emplace(kind_of(violation), 0, replay).first->second.first++;
        }
        fmt::print("  replay: simulation {} --trace\n", replay);
        std::fflush(stdout);
    } else if (options_.trace || (options_.seed && options_.kind != Options::Kind::every_step)) {
        fmt::print("seed {}: {}\n{}\n{} steps, {:.3f} ms of virtual time, fingerprint {:016x}\n", plan.seed,
                   outcome.description, summary(plan, outcome), outcome.steps, in_ms(outcome.virtual_time),
                   outcome.fingerprint);
    }
}

void Tally::print(double elapsed_s) const {
    if (options_.statistics) {
        fmt::print("{} steps a run\n", steps_ / std::max<std::uint64_t>(done_, 1));
        for (const auto& [text, count] : counts_) {
            fmt::print("{:>8}  {}\n", count, text);
        }
    }
    if (options_.keep_going > 1) {
        for (const auto& [kind, found] : kinds_) {
            fmt::print("{:>8} times, first with {}: {}\n", found.first, found.second, kind);
        }
    }
    fmt::print("{} runs in {:.1f} s ({:.0f} per second), {} failed\n", done_, elapsed_s,
               static_cast<double>(done_) / elapsed_s, failures_);
}

}  // namespace godwit::sim
