#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "godwit/units.h"

namespace godwit {

/// A stretch of guest addresses that is memory.
struct EmulatorMemory {
    GuestAddress where;
    std::byte* host = nullptr;
    ByteCount size;
    /// Which block it shows, and from which page on.
    std::size_t block = 0;
    PageNumber first_page{0};

    bool has(std::uint64_t address) const { return address - where.value() < size.value(); }
    /// Those of an address that it has.
    std::byte* at(std::uint64_t address) const { return host + (address - where.value()); }
    PageNumber page_at(std::uint64_t address) const {
        return PageNumber(first_page.value() + (address - where.value()) / page_bytes);
    }
};

/// The one that has an address; null: none.
inline const EmulatorMemory* memory_at(const std::vector<EmulatorMemory>& memory, std::uint64_t address) {
    for (const EmulatorMemory& stretch : memory) {
        if (stretch.has(address)) {
            return &stretch;
        }
    }
    return nullptr;
}

}  // namespace godwit
