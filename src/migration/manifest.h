#pragma once

#include <cstdint>
#include <map>
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

    std::string version;
    std::string machine_type;
    std::vector<Block> ram;
    /// Device sections that can be loaded: name and number of instances.
    std::map<std::string, std::uint32_t> devices;
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

}  // namespace godwit
