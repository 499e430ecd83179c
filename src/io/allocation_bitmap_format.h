#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "godwit/error.h"
#include "io/allocation_bitmap.h"

/// How an allocation bitmap lies in its file: docs/overlay.md.
namespace godwit::bitmap_format {

constexpr std::uint64_t map_page_bytes = 4096;
constexpr std::uint64_t clusters_per_page = map_page_bytes * 8;
constexpr std::size_t boot_identity_bytes = 40;

constexpr std::array<char, 8> magic{'g', 'o', 'd', 'w', 'i', 't', 'B', 'M'};
constexpr std::uint32_t version = 1;

using BootIdentity = std::array<char, boot_identity_bytes>;

/// What the first page of the file begins with; the rest of the page is zeros. Little-endian.
struct Header {
    std::array<char, 8> magic_bytes = magic;
    std::uint32_t format_version = version;
    std::uint32_t cluster_bytes = AllocationBitmap::cluster_bytes;
    std::uint64_t disk_bytes = 0;
    /// Of the recent map; zeros when there is none.
    BootIdentity boot_identity{};
};
static_assert(sizeof(Header) == 64);

std::uint64_t clusters_of(ByteCount disk_size);
std::uint64_t map_pages_of(std::uint64_t clusters);
std::uint64_t file_bytes_for(std::uint64_t clusters);
/// With zeros behind it.
BootIdentity padded(const std::string& identity);

/// Errors: `disk`.
Status check_disk_size(ByteCount disk_size);
/// Errors: `disk`.
Status check_header(const std::string& path, const Header& header, ByteCount disk_size);
/// An error that says why the file at `path` is refused.
tl::unexpected<Error> not_usable(const std::string& path, const std::string& why);

}  // namespace godwit::bitmap_format
