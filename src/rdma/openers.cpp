#include "rdma/openers.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "io/channel_errors.h"
#include "io/connect_opener.h"
#include "io/listen_opener.h"
#include "rdma/hello.h"
#include "rdma/make_fabric.h"
#include "rdma/memory_lock.h"
#include "rdma/rdma_channel.h"
#include "rdma/socket_control_connection.h"
#include "rdma/ucx_fabric.h"

namespace godwit {

namespace rdma {

namespace {

/// What UCX itself keeps pinned, generously.
constexpr ByteCount own_buffers(32 << 20);

Transport to_transport(RdmaTransport wish) {
    switch (wish) {
        case RdmaTransport::automatic:
            return Transport::automatic;
        case RdmaTransport::shared_memory:
            return Transport::shared_memory;
        case RdmaTransport::tcp:
            return Transport::tcp;
        case RdmaTransport::verbs:
            return Transport::verbs;
    }
    return Transport::automatic;
}

Result<std::unique_ptr<Channel>> make_channel(Role role, FileDescriptor socket, std::unique_ptr<Fabric> fabric,
                                              const std::string& peer, Transport transport, bool can_pin_all,
                                              const Clock& clock, Log& log) {
    std::string description = fmt::format("{} ({})", peer, to_string(transport));
    log.write(LogLevel::info, fmt::format("RDMA with {}: pages travel by {}", peer, to_string(transport)));
    auto control = SocketControlConnection::create(std::move(socket), description, clock);
    if (!control) {
        return fail(control.error());
    }
    PageTerms terms{.transport = to_string(transport), .can_pin_all = can_pin_all, .clock = &clock};
    if (const auto limit = pin_limit(); transport == Transport::verbs && limit) {
        // A device pins what is registered, and the library's own buffers.
        terms.registration_limit = *limit - std::min(*limit, own_buffers);
    }
    if (role == Role::destination) {
        auto helper = ServingThread::start("rdma-memory");
        if (!helper) {
            return fail(helper.error());
        }
        terms.helper = std::move(*helper);
    }
    return std::make_unique<RdmaChannel>(role, std::move(*control), std::move(fabric), std::move(description), terms);
}

Status check_host(const HostParts& parts, Transport transport) {
    return needs_ucx(transport) ? parts.check_ucx() : Status();
}

Result<std::unique_ptr<Fabric>> open_fabric(const HostParts& parts, Transport transport, int control_socket, Log& log) {
    if (Status usable = check_host(parts, transport); !usable) {
        return fail(usable.error());
    }
    return parts.make_fabric(transport, control_socket, log);
}

/// Of a process that is killed, Linux closes the descriptors with the highest numbers first. The destination has to see
/// the end of the control connection before the end of UCX's own, which it may not survive.
void move_beyond_others(FileDescriptor& socket) {
    constexpr int least_number = 512;
    // Where there is no such number it stays where it is: only a killed source makes a difference.
    if (const int moved = ::fcntl(socket.get(), F_DUPFD_CLOEXEC, least_number); moved >= 0) {
        socket.reset(moved);
    }
}

class RdmaConnectOpener : public ChannelOpener {
public:
    RdmaConnectOpener(const RdmaAddress& address, HostParts parts, std::unique_ptr<ConnectOpener> connector,
                      Clock& clock, Log& log)
        : wish_(to_transport(address.transport)),
          name_(to_string(Address(RdmaAddress{address.host, address.port}))),
          parts_(std::move(parts)),
          connector_(std::move(connector)),
          clock_(clock),
          log_(log) {}

    Result<std::unique_ptr<Channel>> open(Instant deadline) override {
        if (Status usable = check_host(parts_, wish_); !usable) {
            return fail(usable.error());
        }
        auto socket = connector_->connect(deadline);
        if (!socket) {
            return fail(socket.error());
        }
        const HelloConnection connection{socket->get(), name_, connector_->cancel_event(),
                                         std::min(deadline, clock_.now() + parts_.hello_timeout), clock_};
        const auto answer = say_hello(connection, {.can_pin_all = true, .wish = wish_, .host = parts_.identity()});
        if (!answer) {
            return fail(answer.error());
        }
        auto fabric = open_fabric(parts_, answer->transport, socket->get(), log_);
        if (!fabric) {
            return fail(fabric.error());
        }
        if (Status connected = (*fabric)->connect(answer->fabric_address); !connected) {
            return fail(connected.error());
        }
        if (connector_->cancel_event().cancelled()) {
            return fail_cancelled(name_);
        }
        if (answer->transport == Transport::tcp) {
            move_beyond_others(*socket);
        }
        return make_channel(Role::source, std::move(*socket), std::move(*fabric), name_, answer->transport,
                            answer->can_pin_all, clock_, log_);
    }
    void cancel() override { connector_->cancel(); }

private:
    const Transport wish_;
    const std::string name_;
    const HostParts parts_;
    const std::unique_ptr<ConnectOpener> connector_;
    Clock& clock_;
    Log& log_;
};

class RdmaListenOpener : public ChannelOpener {
public:
    RdmaListenOpener(HostParts parts, std::unique_ptr<ListenOpener> listener, Clock& clock, Log& log)
        : parts_(std::move(parts)), listener_(std::move(listener)), clock_(clock), log_(log) {}

    Result<std::unique_ptr<Channel>> open(Instant deadline) override {
        auto greeting = find_source(deadline);
        listener_->stop_listening();
        if (!greeting) {
            return fail(greeting.error());
        }
        return answer(std::move(greeting->connection), greeting->hello, deadline);
    }
    void cancel() override { listener_->cancel(); }

private:
    struct Greeting {
        AcceptedConnection connection;
        Hello hello;
    };

    HelloConnection hello_connection(const AcceptedConnection& accepted, Instant deadline) const {
        return {accepted.socket.get(), accepted.name, listener_->cancel_event(),
                std::min(deadline, clock_.now() + parts_.hello_timeout), clock_};
    }

    /// The first that says hello as it should; who does not is a stray one.
    Result<Greeting> find_source(Instant deadline) {
        for (;;) {
            auto accepted = listener_->find_migration(deadline);
            if (!accepted) {
                return fail(accepted.error());
            }
            const auto hello = hear_hello(hello_connection(*accepted, deadline));
            if (hello) {
                return Greeting{std::move(*accepted), *hello};
            }
            if (hello.error().code == ErrorCode::cancelled) {
                return fail(hello.error());
            }
            listener_->reject(*accepted, hello.error().text());
        }
    }

    Result<std::unique_ptr<Channel>> answer(AcceptedConnection accepted, const Hello& hello, Instant deadline) {
        const HelloConnection connection = hello_connection(accepted, deadline);
        const HostIdentity host = parts_.identity();
        const auto transport = choose_transport(hello.wish, hello.host, host);
        auto fabric = transport ? open_fabric(parts_, *transport, accepted.socket.get(), log_)
                                : Result<std::unique_ptr<Fabric>>(fail(transport.error()));
        if (!fabric) {
            // The first error is the one that counts.
            static_cast<void>(refuse_hello(connection, fabric.error().text()));
            return fail(fabric.error());
        }
        const ConstBuffer address = (*fabric)->address();
        const Status answered = answer_hello(connection, {.can_pin_all = hello.can_pin_all,
                                                          .transport = *transport,
                                                          .host = host,
                                                          .fabric_address = {address.begin(), address.end()}});
        if (!answered) {
            return fail(answered.error());
        }
        return make_channel(Role::destination, std::move(accepted.socket), std::move(*fabric), accepted.name,
                            *transport, hello.can_pin_all, clock_, log_);
    }

    const HostParts parts_;
    const std::unique_ptr<ListenOpener> listener_;
    Clock& clock_;
    Log& log_;
};

}  // namespace

HostParts this_host_parts() {
    HostParts parts;
    parts.check_ucx = check_ucx;
    parts.make_fabric = make_fabric;
    parts.identity = this_host;
    return parts;
}

Result<std::unique_ptr<ChannelOpener>> make_rdma_opener(const RdmaAddress& address, HostParts parts, Clock& clock,
                                                        Log& log) {
    if (address.port == 0) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("cannot connect to '{}': port 0 is only for listening", to_string(Address(address))));
    }
    auto connector = ConnectOpener::create(TcpAddress{address.host, address.port}, clock);
    if (!connector) {
        return fail(connector.error());
    }
    return std::make_unique<RdmaConnectOpener>(address, std::move(parts), std::move(*connector), clock, log);
}

Result<IncomingEndpoint> make_rdma_endpoint(const RdmaAddress& address, HostParts parts, Clock& clock, Log& log) {
    if (Status usable = parts.check_ucx(); !usable) {
        log.write(LogLevel::warning, fmt::format("{}: only a source on this host can come: {}",
                                                 to_string(Address(address)), usable.error().text()));
    }
    if (address.transport != RdmaTransport::automatic) {
        log.write(LogLevel::info, fmt::format("{}: the source chooses the transport; the option is ignored here",
                                              to_string(Address(address))));
    }
    auto listener = ListenOpener::create(
        TcpAddress{address.host, address.port}, clock, log,
        {.handshake_timeout = parts.hello_timeout, .protocol = ListenProtocol::rdma, .opening_bytes = hello_bytes});
    if (!listener) {
        return fail(listener.error());
    }
    std::string uri = (*listener)->address();
    return IncomingEndpoint{std::make_unique<RdmaListenOpener>(std::move(parts), std::move(*listener), clock, log),
                            std::move(uri)};
}

}  // namespace rdma

namespace {

/// Pages would travel past TLS, in the clear.
tl::unexpected<Error> fail_tls(const Address& address) {
    return fail(ErrorCode::unsupported, fmt::format("TLS does not work with '{}'", to_string(address)),
                "over RDMA pages travel in the clear: use tcp:, or set tls-creds to an empty text");
}

}  // namespace

Result<std::unique_ptr<ChannelOpener>> make_any_outgoing_opener(const Address& address, NamedDescriptors& descriptors,
                                                                Clock& clock, Log& log, const TlsTerms& tls) {
    if (const auto* rdma = std::get_if<RdmaAddress>(&address)) {
        if (tls.credentials != nullptr) {
            return fail_tls(address);
        }
        return rdma::make_rdma_opener(*rdma, rdma::this_host_parts(), clock, log);
    }
    return make_outgoing_opener(address, descriptors, clock, log, tls);
}

Result<IncomingEndpoint> make_any_incoming_endpoint(const Address& address, NamedDescriptors& descriptors, Clock& clock,
                                                    Log& log, const TlsTerms& tls) {
    if (const auto* rdma = std::get_if<RdmaAddress>(&address)) {
        if (tls.credentials != nullptr) {
            return fail_tls(address);
        }
        return rdma::make_rdma_endpoint(*rdma, rdma::this_host_parts(), clock, log);
    }
    return make_incoming_endpoint(address, descriptors, clock, log, tls);
}

}  // namespace godwit
