#include "io/connect_opener.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "io/socket_channel.h"
#include "io/socket_options.h"
#include "io/system_error.h"

namespace godwit {

namespace {

/// Between attempts at a unix socket whose queue of connections is full; the system offers nothing to wait for.
constexpr Duration full_queue_pause = std::chrono::milliseconds(10);

}  // namespace

Result<std::unique_ptr<ConnectOpener>> ConnectOpener::create(const TcpAddress& address, const Clock& clock,
                                                             Resolver resolver) {
    if (address.port == 0) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("cannot connect to '{}': port 0 is only for listening", to_string(Address(address))));
    }
    auto cancel = CancelEvent::create();
    if (!cancel) {
        return fail(cancel.error());
    }
    std::string description = to_string(Address(address));
    std::string name = description.substr(std::string_view("tcp:").size());
    return std::unique_ptr<ConnectOpener>(new ConnectOpener(address, std::move(name), std::move(description),
                                                            std::move(*cancel), clock, std::move(resolver)));
}

Result<std::unique_ptr<ConnectOpener>> ConnectOpener::create(const UnixAddress& address, const Clock& clock) {
    auto target = SocketAddress::from_path(address.path);
    if (!target) {
        return fail(target.error());
    }
    auto cancel = CancelEvent::create();
    if (!cancel) {
        return fail(cancel.error());
    }
    return std::unique_ptr<ConnectOpener>(
        new ConnectOpener(*target, address.path, to_string(Address(address)), std::move(*cancel), clock, Resolver()));
}

ConnectOpener::ConnectOpener(std::variant<TcpAddress, SocketAddress> target, std::string name, std::string description,
                             std::unique_ptr<CancelEvent> cancel, const Clock& clock, Resolver resolver)
    : target_(std::move(target)),
      name_(std::move(name)),
      description_(std::move(description)),
      cancel_(std::move(cancel)),
      clock_(clock),
      resolver_(std::move(resolver)) {}

Result<std::unique_ptr<Channel>> ConnectOpener::open(Instant deadline) {
    auto socket = connect(deadline);
    if (!socket) {
        return fail(socket.error());
    }
    auto channel = SocketChannel::create(std::move(*socket), description_, clock_);
    if (!channel) {
        return fail(channel.error());
    }
    return std::move(*channel);
}

Result<FileDescriptor> ConnectOpener::connect(Instant deadline) {
    const auto addresses = find_addresses(deadline);
    if (!addresses) {
        return fail(addresses.error());
    }
    Error last_error;
    for (std::size_t i = 0; i < addresses->size(); ++i) {
        const Instant now = clock_.now();
        const auto addresses_left = static_cast<Duration::rep>(addresses->size() - i);
        const Instant share =
            deadline == never ? never : now + std::max(deadline - now, Duration::zero()) / addresses_left;
        auto socket = connect_to((*addresses)[i], share);
        if (cancel_->cancelled()) {
            return fail_connect(ECANCELED);
        }
        if (socket) {
            return socket;
        }
        last_error = std::move(socket.error());
    }
    return fail(std::move(last_error));
}

Result<std::vector<SocketAddress>> ConnectOpener::find_addresses(Instant deadline) {
    if (const auto* tcp = std::get_if<TcpAddress>(&target_)) {
        return resolve(*tcp, false, resolver_, *cancel_, deadline, clock_);
    }
    return std::vector{std::get<SocketAddress>(target_)};
}

Result<FileDescriptor> ConnectOpener::connect_to(const SocketAddress& address, Instant deadline) {
    FileDescriptor socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket.valid()) {
        return fail_connect(errno);
    }
    set_socket_buffers(socket.get(), address.family());
    while (::connect(socket.get(), address.get(), address.size_bytes()) != 0) {
        if (errno == EINPROGRESS || errno == EINTR) {
            if (auto connected = finish_connecting(socket.get(), deadline); !connected) {
                return fail(connected.error());
            }
            break;
        }
        if (errno != EAGAIN || clock_.now() >= deadline) {
            return fail_connect(errno == EAGAIN ? ETIMEDOUT : errno);
        }
        if (cancel_->wait(-1, 0, std::min(deadline, clock_.now() + full_queue_pause), clock_) ==
            WaitOutcome::cancelled) {
            return fail_connect(ECANCELED);
        }
    }
    // With nobody listening, a connection to a port of this machine's own range can meet itself.
    const bool met_itself =
        address.family() != AF_UNIX && SocketAddress::local_of(socket.get()) == SocketAddress::peer_of(socket.get());
    if (met_itself) {
        return fail_connect(ECONNREFUSED);
    }
    return socket;
}

Status ConnectOpener::finish_connecting(int socket, Instant deadline) {
    switch (cancel_->wait(socket, POLLOUT, deadline, clock_)) {
        case WaitOutcome::cancelled:
            return fail_connect(ECANCELED);
        case WaitOutcome::timed_out:
            return fail_connect(ETIMEDOUT);
        case WaitOutcome::ready:
            break;
    }
    int error = 0;
    socklen_t error_bytes = sizeof(error);
    if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &error_bytes) != 0) {
        error = errno;
    }
    if (error != 0) {
        return fail_connect(error);
    }
    return {};
}

tl::unexpected<Error> ConnectOpener::fail_connect(int error) const {
    if (error == ECANCELED) {
        return fail(ErrorCode::cancelled, fmt::format("the attempt to connect to '{}' was given up", name_));
    }
    const char* hint = "check that the destination runs and waits at this address";
    if (error == ETIMEDOUT) {
        return fail(ErrorCode::connect_timeout, fmt::format("Failed to connect to '{}': {}", name_, errno_text(error)),
                    hint);
    }
    const bool no_resources = error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
    return fail_errno(no_resources ? ErrorCode::io : ErrorCode::connect,
                      fmt::format("Failed to connect to '{}'", name_), error, no_resources ? "" : hint);
}

}  // namespace godwit
