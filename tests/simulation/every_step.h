#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include "trial.h"

namespace godwit::sim {

/// A kind of thing that may happen to a migration at any moment: an event, at a step of the schedule, or a fault of the
/// link, at a byte.
struct Disturbance {
    std::string name;
    std::optional<Event> event;
    RelativeFault::Kind fault = RelativeFault::Kind::none;
    int direction = 0;
};
const std::vector<Disturbance>& disturbances();

/// A small migration that nothing disturbs, of every pairing and shape in turn.
Plan make_short_plan(std::uint64_t seed);
/// The same with one disturbance at one moment.
Plan disturbed(const Plan& plan, const Disturbance& disturbance, std::uint64_t moment);

/// The moments at which a disturbance makes a difference: steps from the setup until a while after the end, or bytes
/// that an undisturbed run sends. Adds to `outcome` what went wrong in that run.
struct Moments {
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    /// Every so many, but from `every_from` on every one: the handover is at the end.
    std::uint64_t stride = 1;
    std::uint64_t every_from = 0;

    std::uint64_t after(std::uint64_t moment) const {
        return moment < every_from ? std::min(moment + stride, every_from) : moment + 1;
    }
};
Moments moments_of(const Plan& plan, const Disturbance& disturbance, Pools& pools, Outcome& outcome);

}  // namespace godwit::sim
