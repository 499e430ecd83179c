#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "godwit/clock.h"
#include "godwit/error.h"
#include "io/address.h"
#include "io/cancel_event.h"
#include "io/socket_address.h"

namespace godwit {

/// Finds the addresses of a host, in the order in which they should be tried. It may block for long and is called on a
/// thread of its own. `passive`: an empty host means every address instead of this machine. `numeric`: only reads
/// addresses in figures, which never blocks. Errors: `connect`, `not_found` when `numeric` and the host is a name.
using Resolver =
    std::function<Result<std::vector<SocketAddress>>(const TcpAddress& address, bool passive, bool numeric)>;

/// The system's resolver.
Result<std::vector<SocketAddress>> resolve_with_system(const TcpAddress& address, bool passive, bool numeric);

/// Finds addresses without waiting longer than until `deadline`; at least one, at most 16. Errors: `connect`,
/// `connect_timeout`, `cancelled`, `io`.
Result<std::vector<SocketAddress>> resolve(const TcpAddress& address, bool passive, const Resolver& resolver,
                                           const CancelEvent& cancel, Instant deadline, const Clock& clock);

}  // namespace godwit
