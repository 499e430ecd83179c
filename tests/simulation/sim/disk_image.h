#pragma once

#include <cstdint>
#include <vector>

#include "godwit/block_device.h"

namespace godwit::sim {

/// A sector's content, as a number that stands for all of its bytes; 0 is zeros.
struct Sector {
    std::uint64_t value = 0;
    /// Counts the writes to the image: which of two is newer.
    std::uint32_t version = 0;
    DiskContent content = DiskContent::zeros;
};

/// What lies on the medium, where every host finds it after any crash; and who has the image's lock.
class DiskImage {
public:
    /// `base_seed`: what is below the topmost layer; 0: nothing.
    DiskImage(std::uint64_t sectors, std::uint64_t base_seed) : medium(sectors), base_seed_(base_seed) {}

    /// As a guest reads it.
    std::uint64_t value_of(const Sector& sector, std::uint64_t number) const {
        return sector.content == DiskContent::data   ? sector.value
               : sector.content == DiskContent::base ? base_value(number)
                                                     : 0;
    }
    std::uint32_t next_version() { return ++version_; }

    std::vector<Sector> medium;
    /// The disk of the host that has the lock.
    const void* holder = nullptr;

private:
    std::uint64_t base_value(std::uint64_t number) const {
        return base_seed_ == 0 ? 0 : (base_seed_ + number * 0x9e3779b97f4a7c15ULL) | 1;
    }

    std::uint64_t base_seed_;
    std::uint32_t version_ = 0;
};

}  // namespace godwit::sim
