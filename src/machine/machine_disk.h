#pragma once

#include <string>

#include "io/block_queue.h"

namespace godwit {

/// A disk that a machine is given: opened, not locked. The device outlives the machine.
struct MachineDisk {
    /// By which both sides of a migration know it. 1 to 255 bytes, unique.
    std::string name;
    HostBlockDevice* device = nullptr;
};

}  // namespace godwit
