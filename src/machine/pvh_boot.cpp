#include "machine/pvh_boot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "machine/elf_loader.h"
#include "machine/firmware.h"

namespace godwit {

namespace {

// The layout is public: xen/include/public/arch-x86/hvm/start_info.h, version 1.
constexpr std::uint32_t start_info_magic = 0x336ec578;
constexpr std::uint32_t start_info_version = 1;

struct StartInfo {
    std::uint32_t magic = start_info_magic;
    std::uint32_t version = start_info_version;
    std::uint32_t flags = 0;
    std::uint32_t module_count = 0;
    std::uint64_t module_list = 0;
    std::uint64_t command_line = 0;
    std::uint64_t rsdp = 0;
    std::uint64_t memory_map = 0;
    std::uint32_t memory_map_entries = 0;
    std::uint32_t reserved = 0;
};
static_assert(sizeof(StartInfo) == 56);

struct RawMapEntry {
    std::uint64_t address;
    std::uint64_t size;
    std::uint32_t type;
    std::uint32_t reserved;
};
static_assert(sizeof(RawMapEntry) == 24);

// The hole of the PC's first MiB: extended BIOS data, video memory, ROMs.
constexpr GuestAddress first_hole{0x9'fc00};
constexpr GuestAddress first_hole_end{0x10'0000};
/// Nothing of a kernel may lie on the start information.
constexpr GuestAddress boot_area_end{pvh_command_line_address.value() + max_command_line_bytes};

Status load_segment(GuestRam& ram, const ElfSegment& segment) {
    const GuestAddress end(segment.address.value() + segment.memory_size.value());
    if (segment.address < boot_area_end && end > pvh_start_info_address) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("the kernel's segment at {:#x} lies on the start information ({:#x} to {:#x})",
                                segment.address.value(), pvh_start_info_address.value(), boot_area_end.value()),
                    "link the kernel to an address from 1 MiB up");
    }
    const GuestAddress firmware_end(low_firmware_start.value() + firmware_size.value());
    if (segment.address < firmware_end && end > low_firmware_start) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("the kernel's segment at {:#x} lies on the firmware ({:#x} to {:#x})",
                                segment.address.value(), low_firmware_start.value(), firmware_end.value()),
                    "link the kernel to an address from 1 MiB up");
    }
    if (auto status = ram.write(segment.address, segment.contents); !status) {
        return status;
    }
    const std::uint64_t file_bytes = segment.contents.size();
    return ram.clear(GuestAddress(segment.address.value() + file_bytes),
                     ByteCount(segment.memory_size.value() - file_bytes));
}

Status write_start_info(GuestRam& ram, std::string_view command_line) {
    std::vector<RawMapEntry> map;
    for (const MemoryMapEntry& entry : pvh_memory_map(ram.ranges())) {
        map.push_back({entry.address.value(), entry.size.value(), entry.type, 0});
    }
    StartInfo info;
    info.command_line = pvh_command_line_address.value();
    info.memory_map = pvh_memory_map_address.value();
    info.memory_map_entries = static_cast<std::uint32_t>(map.size());
    const std::string text(command_line);
    const std::span<const char> terminated(text.c_str(), text.size() + 1);
    auto status = ram.write(pvh_command_line_address, std::as_bytes(terminated));
    if (status) {
        status = ram.write(pvh_memory_map_address, std::as_bytes(std::span(map)));
    }
    if (status) {
        status = ram.write(pvh_start_info_address, std::as_bytes(std::span(&info, 1)));
    }
    return status;
}

}  // namespace

std::vector<MemoryMapEntry> pvh_memory_map(std::span<const RamRange> ranges) {
    std::vector<MemoryMapEntry> map;
    for (const RamRange& range : ranges) {
        const std::uint64_t end = range.start.value() + range.size.value();
        if (range.start >= first_hole && end <= first_hole_end.value()) {
            continue;  // within the hole, which has an entry of its own
        }
        if (range.start.value() != 0) {
            const bool is_ram = range.block == ram_block;
            map.push_back({range.start, range.size, is_ram ? MemoryMapEntry::ram : MemoryMapEntry::reserved});
            continue;
        }
        map.push_back({GuestAddress(0), ByteCount(std::min(first_hole.value(), end)), MemoryMapEntry::ram});
        map.push_back({first_hole, ByteCount(first_hole_end.value() - first_hole.value()), MemoryMapEntry::reserved});
    }
    return map;
}

Result<PvhEntry> load_pvh_kernel(GuestRam& ram, std::span<const std::byte> kernel_file, std::string_view command_line) {
    if (command_line.size() + 1 > max_command_line_bytes || command_line.find('\0') != std::string_view::npos) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("a command line of {} bytes, or one with a zero byte, is not "
                                "possible (at most {} bytes)",
                                command_line.size(), max_command_line_bytes - 1));
    }
    auto image = parse_elf(kernel_file);
    if (!image) {
        return fail(image.error());
    }
    if (!ram.read(image->pvh_entry, ByteCount(1))) {
        return fail(
            ErrorCode::invalid_argument,
            fmt::format("the kernel's entry point {:#x} is not within the guest's RAM", image->pvh_entry.value()));
    }
    for (const ElfSegment& segment : image->segments) {
        if (auto status = load_segment(ram, segment); !status) {
            return fail(status.error());
        }
    }
    if (auto status = write_start_info(ram, command_line); !status) {
        return fail(status.error());
    }
    return PvhEntry{image->pvh_entry, pvh_start_info_address};
}

Result<std::vector<std::byte>> read_kernel_file(const std::string& path) {
    const auto close = [](std::FILE* file) { std::fclose(file); };
    const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rbe"), close);
    if (!file) {
        return fail(ErrorCode::io, fmt::format("the kernel {} cannot be opened: {}", path, std::strerror(errno)));
    }
    std::vector<std::byte> contents;
    std::vector<std::byte> piece(std::size_t{1} << 16);
    while (true) {
        const std::size_t got = std::fread(piece.data(), 1, piece.size(), file.get());
        contents.insert(contents.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got));
        if (contents.size() > max_kernel_bytes) {
            return fail(ErrorCode::invalid_argument,
                        fmt::format("the kernel {} is larger than {} bytes", path, max_kernel_bytes));
        }
        if (got < piece.size()) {
            break;
        }
    }
    if (std::ferror(file.get()) != 0) {
        return fail(ErrorCode::io, fmt::format("the kernel {} cannot be read: {}", path, std::strerror(errno)));
    }
    return contents;
}

}  // namespace godwit
