#pragma once

#include <cstdint>
#include <string>

#include "godwit/error.h"
#include "godwit/units.h"

struct nbd_handle;

namespace godwit {

/// What the server of an NBD disk offers.
struct NbdExport {
    ByteCount size;
    bool read_only = false;
    bool can_flush = false;
    bool can_trim = false;
    bool can_zero = false;
    /// Whether block status knows holes and zeros, and which layer data belongs to.
    bool knows_allocation = false;
    bool knows_depth = false;
    /// The largest request, a multiple of the sector size.
    std::uint64_t max_request_bytes = 0;
};

/// Of a connection on which requests can be made. Errors: `disk`, when it cannot be a disk.
Result<NbdExport> export_of(nbd_handle* handle, const std::string& uri);

/// `BlockDevice::identity` of what is behind a connection: its URI in one way of writing. Where the server is reached
/// in a way that means another server on another host (a unix socket, an address of this host alone) the URI is
/// completed by what tells hosts apart. Empty where that cannot be found out.
std::string identity_of(nbd_handle* handle);

}  // namespace godwit
