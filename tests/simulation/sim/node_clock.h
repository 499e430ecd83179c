#pragma once

#include "godwit/clock.h"
#include "sim/world.h"

namespace godwit::sim {

/// A node's view of the virtual time: every node counts from a moment of its own, so that code which compares moments
/// of two nodes goes wrong at once.
class NodeClock : public Clock {
public:
    NodeClock(World& world, Duration offset) : world_(world), offset_(offset) {}

    Instant now() const override {
        world_.scheduler().maybe_preempt();
        return Instant(world_.now() + offset_);
    }
    /// The node's moment as world time; `never` stays without limit.
    Duration world_time(Instant instant) const {
        return instant == never ? Duration::max() : instant.time_since_epoch() - offset_;
    }
    Instant node_time(Duration world_time) const { return Instant(world_time + offset_); }

private:
    World& world_;
    Duration offset_;
};

}  // namespace godwit::sim
