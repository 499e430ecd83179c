#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>

#include "godwit/clock.h"

namespace godwit {

/// What the relay does to one direction on purpose, so that tests see how both sides take it. Positions count the
/// bytes that have passed.
struct RelayMischief {
    struct Stall {
        std::uint64_t position = 0;
        /// Without it: until one side gives up.
        std::optional<Duration> time;
    };
    struct Corruption {
        std::uint64_t position = 0;
        std::uint64_t bytes = 1;
        std::uint64_t end() const {
            return position + std::min(bytes, std::numeric_limits<std::uint64_t>::max() - position);
        }
    };

    /// Both connections are reset there.
    std::optional<std::uint64_t> cut_after = std::nullopt;
    std::optional<Stall> stall = std::nullopt;
    /// All bits of these bytes are flipped.
    std::optional<Corruption> corruption = std::nullopt;
};

struct RelayOptions {
    /// Towards the destination; 0 is no limit.
    std::uint64_t bytes_per_s = 0;
    RelayMischief forward = {};
    RelayMischief backward = {};
};

}  // namespace godwit
