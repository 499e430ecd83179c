#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "godwit/error.h"

namespace godwit {

/// An address in the system's form.
class SocketAddress {
public:
    SocketAddress() = default;
    SocketAddress(const sockaddr* address, socklen_t bytes);
    /// Errors: `invalid_argument` when the path is too long.
    static Result<SocketAddress> from_path(const std::string& path);
    /// This end, or the other one, of a socket. Without an address (family AF_UNSPEC) when the system does not tell.
    static SocketAddress local_of(int fd);
    static SocketAddress peer_of(int fd);

    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
    socklen_t size_bytes() const { return bytes_; }
    int family() const { return storage_.ss_family; }
    /// Of an IPv4 or IPv6 address; otherwise 0.
    std::uint16_t port() const;
    /// "127.0.0.1:4444", "[::1]:4444", the path of a unix socket; "an unnamed socket" where there is no name.
    std::string text() const;
    bool operator==(const SocketAddress& other) const;

private:
    sockaddr_storage storage_{};
    socklen_t bytes_ = 0;
};

}  // namespace godwit
