#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/error.h"
#include "godwit/units.h"
#include "machine/guest_ram.h"

namespace godwit {

/// Where the start information lies in guest memory: below 640 KiB, where no kernel of today is loaded.
inline constexpr GuestAddress pvh_start_info_address{0x6000};
inline constexpr GuestAddress pvh_memory_map_address{0x7000};
inline constexpr GuestAddress pvh_command_line_address{0x2'0000};
/// Longest command line, its final zero included.
inline constexpr std::size_t max_command_line_bytes = 64 * 1024;
/// Largest kernel file.
inline constexpr std::size_t max_kernel_bytes = std::size_t{256} << 20;

/// Where the first virtual CPU begins.
struct PvhEntry {
    GuestAddress entry;
    GuestAddress start_info;
};

/// An entry of the guest's memory map; types as in e820.
struct MemoryMapEntry {
    static constexpr std::uint32_t ram = 1;
    static constexpr std::uint32_t reserved = 2;

    GuestAddress address;
    ByteCount size;
    std::uint32_t type;
};

std::vector<MemoryMapEntry> pvh_memory_map(std::span<const RamRange> ranges);

/// Puts a kernel, its command line and the PVH start information into guest memory. The same call serves the first boot
/// and every reset. Errors: `invalid_argument` for a kernel or a command line that cannot be used.
Result<PvhEntry> load_pvh_kernel(GuestRam& ram, std::span<const std::byte> kernel_file, std::string_view command_line);

/// Reads a kernel file. Errors: `io`, `invalid_argument` for one that is too large.
Result<std::vector<std::byte>> read_kernel_file(const std::string& path);

}  // namespace godwit
