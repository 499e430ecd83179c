#pragma once

#include "plan.h"

namespace godwit::sim {

// What scenarios are made of: plan_world.cpp chooses the world, plan.cpp what disturbs it.

/// Two nodes, a guest and a network, without disturbances.
Plan make_base(std::uint64_t seed, Random& random);
/// Shorter deadlines make what waits for them quick to simulate, and let deadlines of different kinds meet.
void shorten_deadlines(MigrationParameters& parameters, Random& random);
/// Gives a plan between two godwits disks, of a use that depends on the seed, and what they need: a link that is fast
/// enough for chunks of a mebibyte.
void choose_disks(Plan& plan, Random& random);
/// Flushes that take longer than a peer may be silent: for plans with the default deadlines.
void slow_first_flush(Plan& plan, Random& random);
void add_disks(Plan& plan, Random& random, DiskUse use);
/// One of the disks fails, or does not fit.
void add_disk_failure(Plan& plan, Random& random);
/// Lets pages go past the stream, in some of the plans between two godwits; in this one.
void choose_direct(Plan& plan, Random& random);
void add_direct(Plan& plan, Random& random);
/// Memory cannot be pinned.
void add_direct_failure(Plan& plan, Random& random);
Duration random_time(Random& random, Duration low, Duration high);

}  // namespace godwit::sim
