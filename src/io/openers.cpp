#include "io/openers.h"

#include <utility>

#include "io/connect_opener.h"
#include "io/descriptor_channel.h"
#include "io/direction.h"
#include "io/listen_opener.h"
#include "io/local_openers.h"

namespace godwit {

namespace {

template <typename Specific>
Result<std::unique_ptr<ChannelOpener>> as_opener(Result<std::unique_ptr<Specific>> opener) {
    if (!opener) {
        return fail(opener.error());
    }
    return std::move(*opener);
}

template <typename SocketAddressKind>
Result<IncomingEndpoint> listen_at(const SocketAddressKind& address, Clock& clock, Log& log) {
    auto opener = ListenOpener::create(address, clock, log);
    if (!opener) {
        return fail(opener.error());
    }
    std::string uri = (*opener)->address();
    return IncomingEndpoint{std::move(*opener), std::move(uri)};
}

Result<std::unique_ptr<ChannelOpener>> take_descriptor(const FdAddress& address, Direction direction,
                                                       NamedDescriptors& descriptors, const Clock& clock) {
    auto fd = address.is_inherited() ? adopt_inherited_descriptor(address.number()) : descriptors.take(address.name);
    if (!fd) {
        return fail(fd.error());
    }
    auto channel = make_descriptor_channel(std::move(*fd), direction, to_string(Address(address)), clock);
    if (!channel) {
        return fail(channel.error());
    }
    return ReadyOpener::create(std::move(*channel));
}

tl::unexpected<Error> fail_rdma() {
    return fail(ErrorCode::unsupported, "an rdma: address cannot be used here");
}

struct OutgoingMaker {
    NamedDescriptors& descriptors;
    Clock& clock;

    using Made = Result<std::unique_ptr<ChannelOpener>>;
    Made operator()(const TcpAddress& address) const { return as_opener(ConnectOpener::create(address, clock)); }
    Made operator()(const UnixAddress& address) const { return as_opener(ConnectOpener::create(address, clock)); }
    Made operator()(const FdAddress& address) const {
        return take_descriptor(address, Direction::outgoing, descriptors, clock);
    }
    Made operator()(const ExecAddress& address) const {
        return ExecOpener::create(address, Direction::outgoing, clock);
    }
    Made operator()(const FileAddress& address) const {
        return FileOpener::create(address, Direction::outgoing, clock);
    }
    Made operator()(const RdmaAddress&) const { return fail_rdma(); }
};

struct IncomingMaker {
    NamedDescriptors& descriptors;
    Clock& clock;
    Log& log;

    using Made = Result<IncomingEndpoint>;
    Made operator()(const TcpAddress& address) const { return listen_at(address, clock, log); }
    Made operator()(const UnixAddress& address) const { return listen_at(address, clock, log); }
    Made operator()(const FdAddress& address) const {
        return without_address(take_descriptor(address, Direction::incoming, descriptors, clock));
    }
    Made operator()(const ExecAddress& address) const {
        return without_address(ExecOpener::create(address, Direction::incoming, clock));
    }
    Made operator()(const FileAddress& address) const {
        return without_address(FileOpener::create(address, Direction::incoming, clock));
    }
    Made operator()(const RdmaAddress&) const { return fail_rdma(); }

private:
    static Made without_address(Result<std::unique_ptr<ChannelOpener>> opener) {
        if (!opener) {
            return fail(opener.error());
        }
        return IncomingEndpoint{std::move(*opener), std::nullopt};
    }
};

}  // namespace

Result<std::unique_ptr<ChannelOpener>> make_outgoing_opener(const Address& address, NamedDescriptors& descriptors,
                                                            Clock& clock, Log& log) {
    (void)log;
    return std::visit(OutgoingMaker{descriptors, clock}, address);
}

Result<IncomingEndpoint> make_incoming_endpoint(const Address& address, NamedDescriptors& descriptors, Clock& clock,
                                                Log& log) {
    return std::visit(IncomingMaker{descriptors, clock, log}, address);
}

}  // namespace godwit
