#pragma once

#include <functional>
#include <string>
#include <vector>

#include "godwit/units.h"
#include "monitor/command_table.h"

namespace godwit {

/// A disk of the machine, as a person may ask for it.
struct BlockEntry {
    /// The name by which migrations know it.
    std::string device;
    /// A file or an address.
    std::string image;
    /// How the image is reached: "raw", "nbd".
    std::string driver;
    ByteCount size;
    bool read_only = false;
};

/// Registers query-block. `disks` is asked on the event loop's thread, must not block, and is kept.
void add_block_commands(CommandTable& commands, std::function<std::vector<BlockEntry>()> disks);

}  // namespace godwit
