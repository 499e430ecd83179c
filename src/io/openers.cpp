#include "io/openers.h"

#include <fmt/format.h>

#include <utility>

#include "io/connect_opener.h"
#include "io/descriptor_channel.h"
#include "io/direction.h"
#include "io/listen_opener.h"
#include "io/local_openers.h"
#include "io/tls_openers.h"

namespace godwit {

namespace {

template <typename Specific>
Result<std::unique_ptr<ChannelOpener>> as_opener(Result<std::unique_ptr<Specific>> opener) {
    if (!opener) {
        return fail(opener.error());
    }
    return std::move(*opener);
}

using MadeOpener = Result<std::unique_ptr<ChannelOpener>>;

/// What `tls` has to hold where it is used in this direction. `host`: what stands for `tls-hostname` where that is
/// empty.
Status check_tls(TlsTerms& tls, Direction direction, const std::string& host) {
    if (tls.credentials == nullptr) {
        return {};
    }
    const TlsCredentialsSpec& spec = tls.credentials->spec();
    const TlsEndpoint needed = direction == Direction::outgoing ? TlsEndpoint::client : TlsEndpoint::server;
    if (spec.endpoint != needed) {
        return fail(ErrorCode::invalid_argument, fmt::format("Expected TLS credentials for a {} endpoint",
                                                             needed == TlsEndpoint::client ? "client" : "server"));
    }
    if (direction == Direction::incoming) {
        if (tls.authorization != nullptr && (spec.kind != TlsKind::x509 || !spec.verify_peer)) {
            return fail(ErrorCode::invalid_argument,
                        "tls-authz needs certificates of sources: tls-creds-x509 with verify-peer=on");
        }
        return {};
    }
    if (tls.hostname.empty()) {
        tls.hostname = host;
    }
    if (tls.hostname.find('\0') != std::string::npos) {
        return fail(ErrorCode::invalid_argument, "The hostname for TLS has a NUL in it");
    }
    if (spec.kind == TlsKind::x509 && tls.hostname.empty()) {
        return fail(ErrorCode::invalid_argument, "No hostname available for TLS",
                    "set tls-hostname to the name in the destination's certificate");
    }
    return {};
}

/// What `make` uses up, a descriptor, it does not where TLS is refused.
template <typename Make>
MadeOpener protect(Make make, TlsTerms tls, Direction direction, const std::string& host, Clock& clock, Log& log) {
    if (Status usable = check_tls(tls, direction, host); !usable) {
        return fail(usable.error());
    }
    MadeOpener opener = make();
    if (!opener || tls.credentials == nullptr) {
        return opener;
    }
    return std::make_unique<TlsOpener>(std::move(*opener), std::move(tls), clock, log);
}

Status refuse_tls(const TlsTerms& tls, const Address& address) {
    if (tls.credentials == nullptr) {
        return {};
    }
    return fail(ErrorCode::unsupported, fmt::format("TLS does not work with '{}'", to_string(address)),
                "it protects connections: tcp:, unix:, or fd: with a socket; set tls-creds to an empty text otherwise");
}

template <typename SocketAddressKind>
Result<IncomingEndpoint> listen_at(const SocketAddressKind& address, Clock& clock, Log& log, TlsTerms tls) {
    if (Status usable = check_tls(tls, Direction::incoming, {}); !usable) {
        return fail(usable.error());
    }
    ListenOptions options;
    if (tls.credentials != nullptr) {
        options.handshake_timeout = tls.handshake_timeout;
        options.introduce = make_tls_introductions(std::move(tls), log);
    }
    auto opener = ListenOpener::create(address, clock, log, std::move(options));
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
    Log& log;
    const TlsTerms& tls;

    MadeOpener operator()(const TcpAddress& address) const {
        return protected_by_tls([&] { return as_opener(ConnectOpener::create(address, clock)); }, address.host);
    }
    MadeOpener operator()(const UnixAddress& address) const {
        return protected_by_tls([&] { return as_opener(ConnectOpener::create(address, clock)); });
    }
    MadeOpener operator()(const FdAddress& address) const {
        return protected_by_tls([&] { return take_descriptor(address, Direction::outgoing, descriptors, clock); });
    }
    MadeOpener operator()(const ExecAddress& address) const {
        return unless_tls(address, [&] { return ExecOpener::create(address, Direction::outgoing, clock); });
    }
    MadeOpener operator()(const FileAddress& address) const {
        return unless_tls(address, [&] { return FileOpener::create(address, Direction::outgoing, clock); });
    }
    MadeOpener operator()(const RdmaAddress&) const { return fail_rdma(); }

private:
    template <typename Make>
    MadeOpener protected_by_tls(Make make, const std::string& host = {}) const {
        return protect(make, tls, Direction::outgoing, host, clock, log);
    }
    template <typename Make>
    MadeOpener unless_tls(const Address& address, Make make) const {
        Status allowed = refuse_tls(tls, address);
        return allowed ? make() : fail(allowed.error());
    }
};

struct IncomingMaker {
    NamedDescriptors& descriptors;
    Clock& clock;
    Log& log;
    const TlsTerms& tls;

    using Made = Result<IncomingEndpoint>;
    Made operator()(const TcpAddress& address) const { return listen_at(address, clock, log, tls); }
    Made operator()(const UnixAddress& address) const { return listen_at(address, clock, log, tls); }
    Made operator()(const FdAddress& address) const {
        return without_address(
            protect([&] { return take_descriptor(address, Direction::incoming, descriptors, clock); }, tls,
                    Direction::incoming, {}, clock, log));
    }
    Made operator()(const ExecAddress& address) const {
        Status allowed = refuse_tls(tls, address);
        return allowed ? without_address(ExecOpener::create(address, Direction::incoming, clock))
                       : fail(allowed.error());
    }
    Made operator()(const FileAddress& address) const {
        Status allowed = refuse_tls(tls, address);
        return allowed ? without_address(FileOpener::create(address, Direction::incoming, clock))
                       : fail(allowed.error());
    }
    Made operator()(const RdmaAddress&) const { return fail_rdma(); }

private:
    static Made without_address(MadeOpener opener) {
        if (!opener) {
            return fail(opener.error());
        }
        return IncomingEndpoint{std::move(*opener), std::nullopt};
    }
};

}  // namespace

MadeOpener make_outgoing_opener(const Address& address, NamedDescriptors& descriptors, Clock& clock, Log& log,
                                const TlsTerms& tls) {
    return std::visit(OutgoingMaker{descriptors, clock, log, tls}, address);
}

Result<IncomingEndpoint> make_incoming_endpoint(const Address& address, NamedDescriptors& descriptors, Clock& clock,
                                                Log& log, const TlsTerms& tls) {
    return std::visit(IncomingMaker{descriptors, clock, log, tls}, address);
}

}  // namespace godwit
