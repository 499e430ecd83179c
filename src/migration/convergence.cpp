#include "migration/convergence.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace godwit {

namespace {

/// So many passes, and so long, without a smaller rest are no chance.
constexpr std::uint64_t passes_to_stall = 4;
constexpr Duration time_to_stall = std::chrono::seconds(1);
/// The rest has to fall by a twentieth to count as smaller.
constexpr double noticeable = 0.95;
/// Advice leaves so much room.
constexpr double margin = 1.2;
constexpr double mib = 1024.0 * 1024;

std::string in_mib(double bytes) {
    return bytes >= 10 * mib ? fmt::format("{:.0f} MiB", bytes / mib) : fmt::format("{:.2g} MiB", bytes / mib);
}

using Help = std::vector<std::string>;

/// In whole ms, with room, and within what the parameter may be.
std::uint64_t roomy_ms(Duration time, std::uint64_t most_ms) {
    const double ms = std::ceil(std::chrono::duration<double, std::milli>(time).count() * margin);
    return static_cast<std::uint64_t>(std::min(ms, static_cast<double>(most_ms)));
}

/// The limit that `decide_switchover` asks for. Its other bound is half of the switchover's time-out.
void advise_deadlines(const PassOutcome& smallest, const MigrationParameters& parameters, Help& help) {
    constexpr std::uint64_t longest_limit_ms = 2'000'000;
    constexpr std::uint64_t longest_timeout_ms = 600'000;
    const Duration needed = smallest.transfer_time;
    if (needed == Duration::max() || needed > std::chrono::hours(1)) {
        return;
    }
    std::string text;
    const std::uint64_t limit_ms = roomy_ms(needed + std::min(needed, smallest.fixed_cost), longest_limit_ms);
    if (limit_ms > parameters.downtime_limit_ms) {
        text = fmt::format("raise downtime-limit to {} ms", limit_ms);
    }
    const std::uint64_t timeout_ms = roomy_ms(2 * needed, longest_timeout_ms);
    if (timeout_ms > parameters.switchover_timeout_ms) {
        text += fmt::format("{} switchover-timeout to {} ms", text.empty() ? "raise" : " and", timeout_ms);
    }
    if (!text.empty()) {
        help.push_back(text);
    }
}

/// The rest shrinks from pass to pass once memory is sent faster than it is written. How fast that is cannot be seen
/// while every page has been written again when its turn comes: so twice of what is seen.
void advise_bandwidth(const PassOutcome& pass, const MigrationParameters& parameters, Help& help) {
    if (parameters.max_bandwidth_bytes_per_s != 0) {
        const double seen = std::max(pass.dirty_bytes_per_s, static_cast<double>(parameters.max_bandwidth_bytes_per_s));
        help.push_back(fmt::format("raise max-bandwidth to {}/s or more, if the link can", in_mib(2 * seen)));
    }
}

void advise_throttle(const PassOutcome& pass, const MigrationParameters& parameters, Help& help) {
    if (!parameters.auto_converge) {
        help.emplace_back("switch on auto-converge (the guest is slowed down)");
    } else if (pass.throttle_percent > 0 && pass.throttle_percent < parameters.max_cpu_throttle_percent) {
        help.push_back(
            fmt::format("wait: auto-converge has slowed the guest down by {} % so far", pass.throttle_percent));
    } else if (pass.throttle_percent > 0 && parameters.max_cpu_throttle_percent < 99) {
        help.emplace_back("raise max-cpu-throttle to 99");
    }
}

void advise_deltas(const PassOutcome& smallest, const MigrationParameters& parameters, Help& help) {
    if (!parameters.xbzrle) {
        help.emplace_back("cancel, switch on xbzrle and start again");
    } else if (smallest.remaining_bytes > parameters.xbzrle_cache_size_bytes) {
        help.push_back(fmt::format("raise xbzrle-cache-size to {}", std::bit_ceil(smallest.remaining_bytes)));
    }
}

}  // namespace

Convergence ConvergenceWatch::after_pass(const PassOutcome& pass, const MigrationParameters& parameters) {
    const bool smaller = !smallest_ || static_cast<double>(pass.remaining_bytes) <
                                           noticeable * static_cast<double>(smallest_->remaining_bytes);
    if (smaller) {
        smallest_ = pass;
        passes_since_ = 0;
    } else {
        ++passes_since_;
    }
    Convergence result{.verdict = ConvergenceVerdict::converging,
                       .smallest_remaining_bytes = smallest_->remaining_bytes};
    if (passes_since_ >= passes_to_stall && pass.elapsed - smallest_->elapsed >= time_to_stall) {
        result.verdict = ConvergenceVerdict::stalled;
        result.advice = convergence_advice(*smallest_, pass, parameters);
    }
    return result;
}

std::string convergence_advice(const PassOutcome& smallest, const PassOutcome& pass,
                               const MigrationParameters& parameters) {
    std::vector<std::string> help;
    advise_deadlines(smallest, parameters, help);
    advise_bandwidth(pass, parameters, help);
    advise_throttle(pass, parameters, help);
    advise_deltas(smallest, parameters, help);
    std::string text = fmt::format("the guest writes {}/s, {}/s are sent, and never less than {} remain",
                                   in_mib(pass.dirty_bytes_per_s), in_mib(pass.bandwidth_bytes_per_s),
                                   in_mib(static_cast<double>(smallest.remaining_bytes)));
    for (std::size_t i = 0; i < help.size(); ++i) {
        text += (i == 0 ? "; what would help: " : i + 1 == help.size() ? ", or " : ", ") + help[i];
    }
    return text;
}

}  // namespace godwit
