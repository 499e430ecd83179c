#pragma once

#include <cstdint>

namespace godwit::sim {

/// Pages by kind, as counted by a peer that is not the tested code.
struct PageCounts {
    std::uint64_t zero = 0;
    std::uint64_t normal = 0;
    std::uint64_t delta = 0;

    bool operator==(const PageCounts&) const = default;
};

}  // namespace godwit::sim
