#pragma once

#include <memory>
#include <optional>
#include <string>

#include "godwit/channel.h"
#include "godwit/clock.h"
#include "godwit/log.h"
#include "io/address.h"
#include "io/named_descriptors.h"
#include "io/tls_terms.h"

namespace godwit {

/// Makes what opens a channel to `address`. A descriptor is taken (from `descriptors` or from those inherited) now;
/// everything else happens in `open`. Clock and log must outlive opener and channel. With `tls`, connections of sockets
/// are protected and other kinds of addresses are refused. Errors: `invalid_argument`, `not_found` for a descriptor,
/// `unsupported` for one of a kind that cannot carry a migration, for what TLS does not work with, and for rdma: (see
/// rdma/openers.h), `io`.
Result<std::unique_ptr<ChannelOpener>> make_outgoing_opener(const Address& address, NamedDescriptors& descriptors,
                                                            Clock& clock, Log& log, const TlsTerms& tls = {});

/// Where a migration is waited for.
struct IncomingEndpoint {
    std::unique_ptr<ChannelOpener> opener;
    /// tcp and unix: the address with the port that is really used, as a URI.
    std::optional<std::string> socket_address;
};

/// Makes what waits for a migration at `address`. tcp and unix listen when this returns. The lookup of a host name
/// may take a few seconds here. Errors as above, and `io` when the address cannot be listened on.
Result<IncomingEndpoint> make_incoming_endpoint(const Address& address, NamedDescriptors& descriptors, Clock& clock,
                                                Log& log, const TlsTerms& tls = {});

}  // namespace godwit
