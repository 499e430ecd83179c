#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "godwit/clock.h"
#include "godwit/guest_memory.h"

namespace godwit {

/// Estimates how fast guest memory is written: remembers what some pages hold, and looks later how many of them hold
/// something else. A page that is written over and over counts once, one that has got its old contents back not at all.
/// One thread; the guest may write meanwhile.
class DirtyRateSampler {
public:
    /// Asked again and again during a look at memory; true ends it.
    using Stop = std::function<bool()>;

    /// `pages_per_gib` pages of each GiB are looked at, at least one of each block; `seed` decides which. `memory`
    /// outlives the sampler.
    DirtyRateSampler(const GuestMemory& memory, std::uint64_t pages_per_gib, std::uint64_t seed);

    /// Remembers what the pages hold now. Holes are not read, so nothing is allocated for them. Returns false when it
    /// was stopped.
    bool begin(const Stop& stop);
    /// Looks again; `begin` was not stopped. Returns false when it was stopped.
    bool finish(const Stop& stop);

    /// Of what `finish` has found: bytes that were changed, all memory counted.
    double changed_bytes() const;

private:
    /// The pages of one block: one in each of as many stretches of equal length, so that they are in order.
    struct Samples {
        std::vector<PageNumber> pages;
        std::vector<std::uint64_t> digests;
        std::uint64_t changed = 0;
    };
    template <typename Visit>
    bool look(const Stop& stop, Visit visit);

    const GuestMemory& memory_;
    std::vector<Samples> samples_;
};

/// In MB (2^20 bytes) per second, rounded down. 0 when no time has passed.
std::uint64_t dirty_megabytes_per_s(double changed_bytes, Duration elapsed);

/// A digest of what a page (page aligned) holds; pages that differ have the same one by rare accident only.
std::uint64_t page_digest(const std::byte* page);

}  // namespace godwit
