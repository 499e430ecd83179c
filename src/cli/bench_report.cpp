#include "cli/bench_report.h"

#include <fmt/format.h>

#include <chrono>

#include "base/format_bytes.h"
#include "monitor/json.h"

namespace godwit {

namespace {

double seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

double milliseconds(Duration duration) {
    return seconds(duration) * 1000;
}

std::string rate(double bytes_per_s) {
    return format_bytes(bytes_per_s) + "/s";
}

double rate_of(ByteCount bytes, Duration duration) {
    return static_cast<double>(bytes.value()) / std::max(1e-9, seconds(duration));
}

std::string estimate_text(const MovePlan& plan, const MoveEstimate& estimate) {
    const std::string what =
        fmt::format("{} of memory, {} dirtied", format_bytes(static_cast<double>(plan.memory.value())),
                    rate(plan.dirty_bytes_per_s));
    if (!estimate.ends) {
        return fmt::format(
            "estimate     {}: does not end: the guest writes faster than this link can carry.\n"
            "             See xbzrle, auto-converge and downtime-limit (docs/parameters.md)\n",
            what);
    }
    return fmt::format("estimate     {}: {:.1f} s in {} passes, {} sent, then {:.1f} ms of downtime\n", what,
                       seconds(estimate.total_time), estimate.passes,
                       format_bytes(static_cast<double>(estimate.sent.value())), milliseconds(estimate.downtime));
}

}  // namespace

std::string host_report(const HostSpeed& host, ByteCount memory, const std::vector<LocalResult>& moves, bool json) {
    if (json) {
        Json all = {{"memory-bytes", memory.value()},
                    {"read-bytes-per-s", host.read},
                    {"copy-bytes-per-s", host.copy},
                    {"find-zeros-bytes-per-s", host.find_zeros},
                    {"encode-bytes-per-s", host.encode},
                    {"decode-bytes-per-s", host.decode},
                    {"find-dirty-ms", milliseconds(host.find_dirty)}};
        for (const LocalResult& move : moves) {
            all["moves"][move.transport] = {{"copy-bytes-per-s", rate_of(memory, move.copy)},
                                            {"migration-bytes-per-s", rate_of(memory, move.migration)}};
        }
        return to_text(all) + "\n";
    }
    std::string text =
        fmt::format("memory       read {}, copied {}\n", rate(host.read), rate(host.copy)) +
        fmt::format("zero pages   found at {}, {:.2f} of reading\n", rate(host.find_zeros),
                    host.find_zeros / host.read) +
        fmt::format("deltas       encoded at {}, decoded at {}; 64 of 4096 bytes changed\n", rate(host.encode),
                    rate(host.decode)) +
        fmt::format("dirty pages  of 1 TiB found in {:.1f} ms, 0.1 % of them dirty\n", milliseconds(host.find_dirty));
    for (const LocalResult& move : moves) {
        text += fmt::format("{:<12} {} copied at {}, migrated at {}, {:.2f} of it\n", move.transport,
                            format_bytes(static_cast<double>(memory.value())), rate(rate_of(memory, move.copy)),
                            rate(rate_of(memory, move.migration)), seconds(move.copy) / seconds(move.migration));
    }
    return text;
}

std::string link_report(const LinkSpeed& link, const MovePlan& plan, bool json) {
    const MoveEstimate estimate = estimate_move(plan);
    if (json) {
        Json all = {{"bytes-per-s", link.bytes_per_s},
                    {"round-trip-ms", milliseconds(link.round_trip)},
                    {"least-round-trip-ms", milliseconds(link.least_round_trip)},
                    {"sent-bytes", link.sent.value()}};
        all["estimate"] = {{"memory-bytes", plan.memory.value()},
                           {"dirty-bytes-per-s", plan.dirty_bytes_per_s},
                           {"ends", estimate.ends},
                           {"passes", estimate.passes},
                           {"total-ms", milliseconds(estimate.total_time)},
                           {"downtime-ms", milliseconds(estimate.downtime)},
                           {"sent-bytes", estimate.sent.value()}};
        return to_text(all) + "\n";
    }
    return fmt::format("bandwidth    {}, {} sent\n", rate(link.bytes_per_s),
                       format_bytes(static_cast<double>(link.sent.value()))) +
           fmt::format("round trip   {:.3f} ms, {:.3f} ms at best\n", milliseconds(link.round_trip),
                       milliseconds(link.least_round_trip)) +
           estimate_text(plan, estimate);
}

std::string account_report(const LinkAccount& account, const std::string& peer, bool json) {
    if (json) {
        return to_text(Json{{"peer", peer},
                            {"received-bytes", account.received.value()},
                            {"round-trips", account.round_trips}}) +
               "\n";
    }
    return fmt::format("{} sent {} and made {} round trips; it has the figures\n", peer,
                       format_bytes(static_cast<double>(account.received.value())), account.round_trips);
}

}  // namespace godwit
