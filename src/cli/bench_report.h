#pragma once

#include <string>
#include <vector>

#include "godwit/clock.h"
#include "tools/host_speed.h"
#include "tools/link_probe.h"
#include "tools/move_estimate.h"

namespace godwit {

/// Of some rounds the medians.
struct LocalResult {
    std::string transport;
    Duration copy{};
    Duration migration{};
};

// Each as lines for a person, or as one line of JSON.

std::string host_report(const HostSpeed& host, ByteCount memory, const std::vector<LocalResult>& moves, bool json);
std::string link_report(const LinkSpeed& link, const MovePlan& plan, bool json);
/// What a receiver has seen.
std::string account_report(const LinkAccount& account, const std::string& peer, bool json);

}  // namespace godwit
