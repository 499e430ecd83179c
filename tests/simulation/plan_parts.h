#pragma once

#include "plan.h"

namespace godwit::sim {

// What scenarios are made of: plan_world.cpp chooses the world, plan.cpp what disturbs it.

/// Two nodes, a guest and a network, without disturbances.
Plan make_base(std::uint64_t seed, Random& random);
/// Shorter deadlines make what waits for them quick to simulate, and let deadlines of different kinds meet.
void shorten_deadlines(MigrationParameters& parameters, Random& random);
Duration random_time(Random& random, Duration low, Duration high);

}  // namespace godwit::sim
