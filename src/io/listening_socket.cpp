#include "io/listening_socket.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <utility>
#include <vector>

#include "io/name_resolution.h"
#include "io/socket_address.h"
#include "io/socket_options.h"
#include "io/system_error.h"

namespace godwit {

namespace {

constexpr int backlog = 64;
constexpr Duration resolve_timeout = std::chrono::seconds(5);

FileDescriptor make_socket(int family) {
    return FileDescriptor(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

tl::unexpected<Error> fail_listen(const std::string& name, int error) {
    return fail_errno(ErrorCode::io, fmt::format("Failed to listen on '{}'", name), error,
                      error == EADDRINUSE ? "choose another address, or end who listens there" : "");
}

/// Every address of this machine: one socket for both families where there is IPv6.
std::vector<SocketAddress> wildcard_addresses(std::uint16_t port) {
    sockaddr_in6 both{};
    both.sin6_family = AF_INET6;
    both.sin6_port = htons(port);
    sockaddr_in ipv4{};
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(port);
    return {SocketAddress(reinterpret_cast<const sockaddr*>(&both), sizeof(both)),
            SocketAddress(reinterpret_cast<const sockaddr*>(&ipv4), sizeof(ipv4))};
}

/// Binds and listens. The result is an errno value when the descriptor is not valid.
std::pair<FileDescriptor, int> listen_at(const SocketAddress& address, bool both_families) {
    FileDescriptor socket = make_socket(address.family());
    if (!socket.valid()) {
        return {FileDescriptor(), errno};
    }
    const int yes = 1;
    const int no = 0;
    if (address.family() != AF_UNIX) {
        ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    }
    if (both_families && address.family() == AF_INET6) {
        ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
    }
    // Accepted sockets inherit the sizes.
    set_socket_buffers(socket.get(), address.family());
    if (::bind(socket.get(), address.get(), address.size_bytes()) != 0 || ::listen(socket.get(), backlog) != 0) {
        return {FileDescriptor(), errno};
    }
    return {std::move(socket), 0};
}

}  // namespace

Result<ListeningSocket> ListeningSocket::listen(const TcpAddress& address, const Clock& clock) {
    const std::string name = to_string(Address(address)).substr(std::string_view("tcp:").size());
    std::vector<SocketAddress> addresses;
    if (address.host.empty()) {
        addresses = wildcard_addresses(address.port);
    } else {
        const auto never_cancelled = CancelEvent::create();
        if (!never_cancelled) {
            return fail(never_cancelled.error());
        }
        auto found =
            resolve(address, true, resolve_with_system, **never_cancelled, clock.now() + resolve_timeout, clock);
        if (!found) {
            return fail(found.error());
        }
        addresses = std::move(*found);
    }
    int first_error = 0;
    for (const SocketAddress& candidate : addresses) {
        auto [socket, error] = listen_at(candidate, address.host.empty());
        if (socket.valid()) {
            std::string uri = "tcp:" + SocketAddress::local_of(socket.get()).text();
            return ListeningSocket(std::move(socket), std::move(uri));
        }
        first_error = first_error == 0 ? error : first_error;
    }
    return fail_listen(name, first_error);
}

Result<ListeningSocket> ListeningSocket::listen(const UnixAddress& address) {
    auto listener = UnixListener::listen(address.path);
    if (!listener) {
        // QEMU's words for the usual case.
        return listener.error().code == ErrorCode::busy ? fail_listen(address.path, EADDRINUSE)
                                                        : tl::unexpected<Error>(std::move(listener.error()));
    }
    set_socket_buffers(listener->fd(), AF_UNIX);
    return ListeningSocket(std::move(*listener), to_string(Address(address)));
}

void ListeningSocket::close() {
    if (unix_) {
        unix_->close();
    }
    socket_.reset();
}

}  // namespace godwit
