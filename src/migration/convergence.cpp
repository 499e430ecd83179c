#include "migration/convergence.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "migration/switchover_policy.h"

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

}  // namespace

Convergence ConvergenceWatch::after_pass(const PassOutcome& pass, const MigrationParameters& parameters) {
    const bool smaller = !smallest_bytes_ ||
                         static_cast<double>(pass.remaining_bytes) < noticeable * static_cast<double>(*smallest_bytes_);
    if (smaller) {
        smallest_bytes_ = pass.remaining_bytes;
        smallest_at_ = pass.elapsed;
        passes_since_ = 0;
    } else {
        ++passes_since_;
    }
    Convergence result{.verdict = ConvergenceVerdict::converging, .smallest_remaining_bytes = *smallest_bytes_};
    if (passes_since_ >= passes_to_stall && pass.elapsed - smallest_at_ >= time_to_stall) {
        result.verdict = ConvergenceVerdict::stalled;
        result.advice = convergence_advice(*smallest_bytes_, pass, parameters);
    }
    return result;
}

std::string convergence_advice(std::uint64_t smallest_bytes, const PassOutcome& pass,
                               const MigrationParameters& parameters) {
    const auto rest = static_cast<double>(smallest_bytes);
    const Duration needed = transfer_time(smallest_bytes, pass.bandwidth_bytes_per_s);
    std::string text = fmt::format("the guest writes {}/s, {}/s are sent, and never less than {} remain",
                                   in_mib(pass.dirty_bytes_per_s), in_mib(pass.bandwidth_bytes_per_s), in_mib(rest));
    std::vector<std::string> help;
    if (needed != Duration::max()) {
        const double limit_ms = std::ceil(std::chrono::duration<double, std::milli>(needed).count() * margin);
        if (limit_ms > static_cast<double>(parameters.downtime_limit_ms)) {
            help.push_back(fmt::format("raise downtime-limit to {:.0f} ms", limit_ms));
        }
    }
    if (const std::uint64_t limit = parameters.max_bandwidth_bytes_per_s; limit != 0) {
        const double limit_s = static_cast<double>(std::max<std::uint64_t>(parameters.downtime_limit_ms, 1)) / 1000;
        const double enough = std::max({rest / limit_s, pass.dirty_bytes_per_s, static_cast<double>(limit)}) * margin;
        help.push_back(fmt::format("raise max-bandwidth to {}/s, if the link can", in_mib(enough)));
    }
    if (!parameters.auto_converge) {
        help.emplace_back("switch on auto-converge (the guest is slowed down)");
    } else if (pass.throttle_percent < parameters.max_cpu_throttle_percent) {
        help.push_back(
            fmt::format("wait: auto-converge has slowed the guest down by {} % so far", pass.throttle_percent));
    } else if (parameters.max_cpu_throttle_percent < 99) {
        help.emplace_back("raise max-cpu-throttle to 99");
    }
    if (!parameters.xbzrle) {
        help.emplace_back("cancel, switch on xbzrle and start again");
    } else if (rest > static_cast<double>(parameters.xbzrle_cache_size_bytes)) {
        help.push_back(fmt::format("raise xbzrle-cache-size to {}", std::bit_ceil(smallest_bytes)));
    }
    for (std::size_t i = 0; i < help.size(); ++i) {
        text += (i == 0 ? "; what would help: " : i + 1 == help.size() ? ", or " : ", ") + help[i];
    }
    return text;
}

}  // namespace godwit
