#pragma once

#include <vector>

#include "sim/sim_guest.h"

namespace godwit::sim {

class SimMachine;

/// The world's view of who has the guest: the truth against which the nodes' behaviour is held.
struct Ownership {
    Ownership(World& world_in, SimGuest& guest_in) : world(world_in), guest(guest_in) {}

    /// To be called whenever a machine has changed: there must never be two that run, or may.
    void check();
    /// The disk images have one lock.
    bool take_disks(const SimMachine& machine);
    void release_disks(const SimMachine& machine);

    World& world;
    SimGuest& guest;
    std::vector<SimMachine*> machines;
    const SimMachine* disk_holder = nullptr;
    /// The guest is copied rather than moved, as with a save to a file: disks are not handed over, and no side can know
    /// of the other.
    bool copied = false;
    /// A QEMU source was cancelled while the whole machine was under way: two guests are possible now, and documented.
    bool residue_possible = false;
    /// It came to that.
    bool documented_residue = false;
};

}  // namespace godwit::sim
