#include "io/nbd_export.h"

#include <fmt/format.h>
#include <libnbd.h>

#include <algorithm>

#include "godwit/block_device.h"
#include "io/nbd_handle.h"

namespace godwit {

namespace {

/// What every server takes, where it does not say what it takes.
constexpr std::uint64_t common_max_request_bytes = std::uint64_t{32} * 1024 * 1024;

}  // namespace

Result<NbdExport> export_of(nbd_handle* handle, const std::string& uri) {
    const std::int64_t size = ::nbd_get_size(handle);
    if (size < 0 || static_cast<std::uint64_t>(size) % sector_bytes != 0) {
        return fail(ErrorCode::disk,
                    fmt::format("the NBD disk {} has {} bytes, which is no multiple of {}", uri, size, sector_bytes),
                    "serve an image of whole sectors");
    }
    const std::int64_t smallest = ::nbd_get_block_size(handle, LIBNBD_SIZE_MINIMUM);
    if (smallest > static_cast<std::int64_t>(sector_bytes)) {
        return fail(ErrorCode::disk,
                    fmt::format("the server of the NBD disk {} wants requests in multiples of {} bytes, but a disk has "
                                "sectors of {}",
                                uri, smallest, sector_bytes),
                    "let the server do with less: nbdkit has --filter=blocksize for this");
    }
    NbdExport offer;
    const std::int64_t largest = ::nbd_get_block_size(handle, LIBNBD_SIZE_MAXIMUM);
    offer.size = ByteCount(static_cast<std::uint64_t>(size));
    offer.max_request_bytes = common_max_request_bytes;
    if (largest >= static_cast<std::int64_t>(sector_bytes)) {
        offer.max_request_bytes =
            std::min(offer.max_request_bytes, static_cast<std::uint64_t>(largest) / sector_bytes * sector_bytes);
    }
    offer.read_only = ::nbd_is_read_only(handle) == 1;
    offer.can_flush = ::nbd_can_flush(handle) == 1;
    offer.can_trim = ::nbd_can_trim(handle) == 1;
    offer.can_zero = ::nbd_can_zero(handle) == 1;
    offer.knows_allocation = ::nbd_can_meta_context(handle, nbd_allocation_context) == 1;
    offer.knows_depth = ::nbd_can_meta_context(handle, nbd_depth_context) == 1;
    return offer;
}

}  // namespace godwit
