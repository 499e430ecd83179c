#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "io/openers.h"
#include "rdma/fabric.h"
#include "rdma/transport.h"

namespace godwit {

/// `make_outgoing_opener` and `make_incoming_endpoint` (io/openers.h) for all kinds of addresses, `rdma:` among them.
/// Errors: `unsupported` for `rdma:` with `tls`; of `open` also where RDMA cannot work.
Result<std::unique_ptr<ChannelOpener>> make_any_outgoing_opener(const Address& address, NamedDescriptors& descriptors,
                                                                Clock& clock, Log& log, const TlsTerms& tls = {});
Result<IncomingEndpoint> make_any_incoming_endpoint(const Address& address, NamedDescriptors& descriptors, Clock& clock,
                                                    Log& log, const TlsTerms& tls = {});

namespace rdma {

/// What the openers take from this host; tests bring their own.
struct HostParts {
    /// Whether UCX is there, which some transports need.
    std::function<Status()> check_ucx;
    std::function<Result<std::unique_ptr<Fabric>>(Transport transport, int control_socket, Log& log)> make_fabric;
    std::function<HostIdentity()> identity;
    /// For the exchange of hellos, once connected.
    Duration hello_timeout = std::chrono::seconds(5);
};
HostParts this_host_parts();

/// Errors: `invalid_argument` for a port that cannot be connected to, `io`. Those of `open`: as for tcp; `unsupported`
/// where UCX is missing and the transport needs it, which is known at once or from the destination's answer; those of
/// `say_hello`, those of a fabric.
Result<std::unique_ptr<ChannelOpener>> make_rdma_opener(const RdmaAddress& address, HostParts parts, Clock& clock,
                                                        Log& log);
/// Listens when it returns; without UCX too, for a source on this host. Errors: those of a tcp address. Those of
/// `open`: as for tcp; those of `hear_hello`, `unsupported` when the two sides have no transport in common, those of a
/// fabric; the source is told of them.
Result<IncomingEndpoint> make_rdma_endpoint(const RdmaAddress& address, HostParts parts, Clock& clock, Log& log);

}  // namespace rdma
}  // namespace godwit
