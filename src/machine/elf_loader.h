#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "godwit/error.h"
#include "godwit/units.h"

namespace godwit {

/// A part of the file that belongs to a guest address; what `memory_size` has beyond `contents` is zero.
struct ElfSegment {
    GuestAddress address;
    std::span<const std::byte> contents;
    ByteCount memory_size;
};

/// What a guest kernel says about itself. The segments point into the file.
struct ElfImage {
    std::vector<ElfSegment> segments;
    /// Physical entry point in 32-bit protected mode (PVH, ELF note 18 of "Xen").
    GuestAddress pvh_entry;
};

/// Most segments and notes that are looked at.
inline constexpr std::size_t max_elf_headers = 128;
inline constexpr std::size_t max_elf_notes = 1024;

/// Reads a 32- or 64-bit x86 ELF executable. The file is untrusted: every offset and size is checked against it.
/// Errors: `invalid_argument` with what is wrong with the file.
Result<ElfImage> parse_elf(std::span<const std::byte> file);

}  // namespace godwit
