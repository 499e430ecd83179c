// The public API's way to all kinds of addresses.
#include <utility>

#include "godwit/io.h"
#include "io/named_descriptors.h"
#include "rdma/openers.h"

namespace godwit {

Result<std::unique_ptr<ChannelOpener>> make_opener(const std::string& uri, Clock& clock, Log& log) {
    const Result<Address> address = parse_address(uri);
    if (!address) {
        return fail(address.error());
    }
    NamedDescriptors none;
    return make_any_outgoing_opener(*address, none, clock, log);
}

Result<BoundListener> make_listener(const std::string& uri, Clock& clock, Log& log) {
    const Result<Address> address = parse_address(uri);
    if (!address) {
        return fail(address.error());
    }
    NamedDescriptors none;
    Result<IncomingEndpoint> endpoint = make_any_incoming_endpoint(*address, none, clock, log);
    if (!endpoint) {
        return fail(std::move(endpoint.error()));
    }
    return BoundListener{std::move(endpoint->opener), std::move(endpoint->socket_address)};
}

}  // namespace godwit
