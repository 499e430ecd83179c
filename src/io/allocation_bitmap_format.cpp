#include "io/allocation_bitmap_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <fstream>
#include <span>

#include "base/assert.h"
#include "io/new_image.h"

namespace godwit {

namespace bitmap_format {

namespace {

static_assert(std::endian::native == std::endian::little, "numbers in the file are little-endian");

std::uint64_t divide_up(std::uint64_t value, std::uint64_t unit) {
    return (value + unit - 1) / unit;
}

}  // namespace

std::uint64_t clusters_of(ByteCount disk_size) {
    return divide_up(disk_size.value(), AllocationBitmap::cluster_bytes);
}

std::uint64_t map_pages_of(std::uint64_t clusters) {
    return divide_up(clusters, clusters_per_page);
}

std::uint64_t file_bytes_for(std::uint64_t clusters) {
    return map_page_bytes * (1 + 2 * map_pages_of(clusters));
}

BootIdentity padded(const std::string& identity) {
    GODWIT_ASSERT(identity.size() <= boot_identity_bytes, "a boot identity of {} bytes", identity.size());
    BootIdentity bytes{};
    std::copy(identity.begin(), identity.end(), bytes.begin());
    return bytes;
}

tl::unexpected<Error> not_usable(const std::string& path, const std::string& why) {
    return fail(ErrorCode::disk, fmt::format("{} is not the allocation bitmap of this overlay: {}", path, why),
                "it must be the file that was made together with the overlay");
}

Status check_disk_size(ByteCount disk_size) {
    if (disk_size > AllocationBitmap::max_disk_size) {
        return fail(ErrorCode::disk, fmt::format("an overlay of {} bytes is too large: at most {} are possible",
                                                 disk_size.value(), AllocationBitmap::max_disk_size.value()));
    }
    return {};
}

Status check_header(const std::string& path, const Header& header, ByteCount disk_size) {
    if (header.magic_bytes != magic) {
        return not_usable(path, "it does not begin with the magic word");
    }
    if (header.format_version != version) {
        return not_usable(path, fmt::format("it has version {}, understood is {}", header.format_version, version));
    }
    if (header.cluster_bytes != AllocationBitmap::cluster_bytes) {
        return not_usable(path, fmt::format("its clusters have {} bytes, understood are {}", header.cluster_bytes,
                                            AllocationBitmap::cluster_bytes));
    }
    if (header.disk_bytes != disk_size.value()) {
        return not_usable(path, fmt::format("it is for a disk of {} bytes, the overlay has {}", header.disk_bytes,
                                            disk_size.value()));
    }
    return {};
}

}  // namespace bitmap_format

Result<std::string> current_boot_identity() {
    const std::string path = "/proc/sys/kernel/random/boot_id";
    std::ifstream file(path);
    std::string identity;
    if (!std::getline(file, identity) || identity.empty() || identity.size() > bitmap_format::boot_identity_bytes) {
        return fail(ErrorCode::disk, fmt::format("cannot read the identity of this boot from {}", path),
                    "an overlay needs it: mount /proc");
    }
    return identity;
}

Status AllocationBitmap::create(const std::string& path, ByteCount disk_size, const std::optional<FileOwner>& owner) {
    if (const Status fits = bitmap_format::check_disk_size(disk_size); !fits) {
        return fits;
    }
    bitmap_format::Header header;
    header.disk_bytes = disk_size.value();
    const ByteCount file_size(bitmap_format::file_bytes_for(bitmap_format::clusters_of(disk_size)));
    const auto made = make_image_if_absent(path, file_size, std::as_bytes(std::span(&header, 1)), owner);
    return made ? Status{} : fail(made.error());
}

}  // namespace godwit
