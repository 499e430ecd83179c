#pragma once

#include <cstdint>

/// Numbers of QEMU's migration stream, version 3, and of godwit's additions to it (`docs/stream.md`).
namespace godwit::format {

inline constexpr std::uint32_t file_magic = 0x5145564d;  // "QEVM"
inline constexpr std::uint32_t file_version = 3;

enum class SectionType : std::uint8_t {
    eof = 0x00,
    start = 0x01,
    part = 0x02,
    end = 0x03,
    full = 0x04,
    subsection = 0x05,
    vm_description = 0x06,
    configuration = 0x07,
    command = 0x08,
    footer = 0x7e,
};

enum class Command : std::uint16_t {
    open_return_path = 1,
    ping = 2,
    /// godwit only: the destination owns the guest from here on.
    commit = 0x8001,
};
inline constexpr std::uint16_t max_command_bytes = 4096;

/// PING value that tells a destination that the source is godwit ("gdwt").
inline constexpr std::uint32_t godwit_ping = 0x67647774;
/// PING value that a source sends so that a connection on which nothing else is due does not look dead.
inline constexpr std::uint32_t keepalive_ping = 0x6764776b;
/// At the end of a pass; the number of the pass is added. The answer says that everything before it has been taken.
inline constexpr std::uint32_t pass_ping_base = 0x67700000;
/// As `pass_ping_base`; a destination answers when everything that it has received for its disks is durable.
inline constexpr std::uint32_t flush_ping_base = 0x67710000;
/// After the devices' state, to a QEMU: it answers once it has loaded all of it.
inline constexpr std::uint32_t loaded_ping = 0x6764776c;

enum class ReturnMessage : std::uint16_t {
    shut = 1,
    pong = 2,
    // godwit only; sent after godwit_ping has been seen.
    manifest = 0x8001,
    loaded = 0x8002,
    error = 0x8003,
    running = 0x8004,
};
inline constexpr std::uint16_t max_return_message_bytes = 4096;

inline constexpr const char* ram_section_name = "ram";
inline constexpr std::uint32_t ram_section_id = 2;
inline constexpr std::uint32_t ram_version = 4;
inline constexpr std::uint32_t first_device_section_id = 4;
inline constexpr const char* globalstate_section_name = "globalstate";
inline constexpr std::uint32_t globalstate_version = 1;
inline constexpr std::uint32_t globalstate_text_bytes = 100;

inline constexpr const char* block_section_name = "block";
inline constexpr std::uint32_t block_section_id = 1;
inline constexpr std::uint32_t block_version = 1;

/// The one encoding that an XBZRLE record may have.
inline constexpr std::uint8_t xbzrle_encoding = 1;
/// Offset with flags, encoding and length.
inline constexpr std::uint64_t xbzrle_head_bytes = 8 + 1 + 2;

/// Low bits of the u64 that begins each RAM record.
namespace ram_flag {
inline constexpr std::uint64_t zero = 0x02;
inline constexpr std::uint64_t mem_size = 0x04;
inline constexpr std::uint64_t page = 0x08;
inline constexpr std::uint64_t eos = 0x10;
inline constexpr std::uint64_t same_block = 0x20;
inline constexpr std::uint64_t xbzrle = 0x40;
/// Alone: pages are written past the stream, which is silent until they have arrived (QEMU's HOOK).
inline constexpr std::uint64_t direct = 0x80;
/// godwit only, to a destination whose manifest says that it knows them: several pages under one head.
inline constexpr std::uint64_t page_run = 0x800;
inline constexpr std::uint64_t all = 0xfff;
}  // namespace ram_flag

/// Of the record of a page; the offset with flags, without the block's name, which few records have.
inline constexpr std::uint64_t page_head_bytes = 8;
/// Of the record of a run: that, and how many pages.
inline constexpr std::uint64_t run_head_bytes = page_head_bytes + 4;
inline constexpr std::uint32_t max_run_pages = 256;

/// Low bits of the u64 that begins each record of the block section; the rest is the offset on the disk.
namespace disk_flag {
inline constexpr std::uint64_t chunk = 0x01;
inline constexpr std::uint64_t eos = 0x02;
/// The rest is a percentage, shifted by `progress_shift`.
inline constexpr std::uint64_t progress = 0x04;
/// Only together with `chunk`: the chunk reads as zeros, no data follows.
inline constexpr std::uint64_t zero = 0x08;
inline constexpr std::uint64_t all = 0x1ff;
inline constexpr unsigned progress_shift = 9;
}  // namespace disk_flag

}  // namespace godwit::format
