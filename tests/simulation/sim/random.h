#pragma once

#include <bit>
#include <cstdint>

namespace godwit::sim {

/// A seeded generator (SplitMix64) that gives the same numbers with every compiler and library. Not shared between
/// threads.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        state_ += 0x9e3779b97f4a7c15ULL;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
    /// 0 to `limit` - 1; 0 when `limit` is 0.
    std::uint64_t below(std::uint64_t limit) { return limit == 0 ? 0 : next() % limit; }
    /// `low` to `high`, both included.
    std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
    /// Every power of two from `low` (at least 1) to `high` is about equally likely.
    std::uint64_t spread(std::uint64_t low, std::uint64_t high) {
        const std::uint64_t doublings = static_cast<std::uint64_t>(std::bit_width(high / low));
        const std::uint64_t start = low << below(doublings);
        const std::uint64_t value = start + below(start);
        return value > high ? high : value;
    }
    bool percent(std::uint64_t chance) { return below(100) < chance; }
    bool per_mille(std::uint64_t chance) { return below(1000) < chance; }

private:
    std::uint64_t state_;
};

}  // namespace godwit::sim
