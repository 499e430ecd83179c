#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "godwit/clock.h"
#include "godwit/error.h"
#include "tools/disk_census.h"
#include "tools/ram_census.h"

namespace godwit {

/// From where on something was not understood, and why.
struct Undecoded {
    std::uint64_t position = 0;
    Error reason;
};

/// What a stream held, as somebody saw it who read along.
struct StreamReport {
    struct Block {
        std::string id;
        ByteCount size;
        RamCensus::Counts counts;
        std::uint64_t pages_again = 0;
    };

    struct Device {
        std::string name;
        std::uint32_t instance = 0;
        /// Of its state, without the frame.
        std::uint64_t bytes = 0;
    };

    std::string machine_type;
    std::uint64_t start_sections = 0;
    std::uint64_t part_sections = 0;
    std::uint64_t end_sections = 0;
    std::uint64_t commands = 0;
    std::uint64_t pings = 0;
    bool return_path_opened = false;
    std::vector<Block> blocks;
    std::uint64_t passes = 0;
    /// False: more pages may have come again than are counted.
    bool pages_again_known = true;
    std::vector<DiskCensus::Disk> disks;
    /// Empty where there is no description by which they could be told apart.
    std::vector<Device> devices;

    /// The first END section began: the guest stands still.
    std::optional<Instant> switchover_began;
    /// The last byte of the machine came.
    std::optional<Instant> machine_ended;
    std::optional<Instant> committed;
    /// Everything up to the end of the machine was there and understood.
    bool complete = false;
    std::optional<Undecoded> undecoded;
};

/// What a destination said.
struct ReturnReport {
    /// By name.
    std::map<std::string, std::uint64_t> messages;
    std::optional<std::uint32_t> last_pong;
    std::optional<std::uint32_t> shut;
    /// ERROR, fit to print.
    std::optional<std::string> error;
    std::optional<Instant> loaded;
    std::optional<Instant> running;
    std::optional<Instant> shut_came;
    std::optional<Undecoded> undecoded;
};

}  // namespace godwit
