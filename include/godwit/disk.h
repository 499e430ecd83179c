#pragma once

#include <string>

#include "godwit/block_device.h"
#include "godwit/disk_write_tracker.h"

namespace godwit {

/// A disk of the machine, under the name by which both sides know it. Device and tracker outlive the migration.
struct Disk {
    /// 1 to 255 bytes, unique.
    std::string name;
    BlockDevice* device = nullptr;
    /// Hears of every write of the guest; needed to send, may be null where only receiving happens.
    DiskWriteTracker* tracker = nullptr;
};

}  // namespace godwit
