#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/environment.h"

namespace godwit {

/// What a destination tells a godwit source before the first page: enough to find out that both do not fit while
/// nothing has happened yet. JSON on the wire; unknown fields are ignored.
struct Manifest {
    struct Block {
        std::string id;
        std::uint64_t bytes = 0;
        bool fresh = false;
    };

    struct Disk {
        std::string name;
        std::uint64_t bytes = 0;
        bool read_only = false;
        /// Two disks with the same are one image; empty where that is not known.
        std::string image = {};
    };

    std::string version;
    std::string machine_type;
    std::vector<Block> ram;
    /// Device sections that can be loaded: name and number of instances.
    std::map<std::string, std::uint32_t> devices;
    /// RAM records of several pages (`format::ram_flag::page_run`) can be loaded.
    bool page_runs = false;
    /// Bytes that may be pinned for remote writes; absent: as many as there are, or the channel has none.
    std::optional<std::uint64_t> pin_limit_bytes = {};
    /// Absent from one who does not know disks, or has too many.
    std::optional<std::vector<Disk>> disks = {};
};

/// Describes one's own side.
Manifest make_manifest(const Environment& environment);

/// At most `format::max_return_message_bytes`; devices, then blocks, are left out (and so not compared) when there are
/// too many.
std::string to_json(const Manifest& manifest);
/// Errors: `stream_corrupt`.
Result<Manifest> parse_manifest(std::string_view json);

/// Compares what the source has with what the destination told. Errors: `preflight_mismatch` naming both sides' values.
Status check_preflight(const Manifest& source, const Manifest& destination);
/// Whether the destination may pin as much as `rdma-pin-all` needs. Errors: `cannot_pin`.
Status check_pinning(const Manifest& source, const Manifest& destination);
/// Whether the contents of the source's writable disks can go to the destination's. Errors: `preflight_mismatch`.
Status check_moving_disks(const Manifest& source, const Manifest& destination);

}  // namespace godwit
