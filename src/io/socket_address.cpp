#include "io/socket_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "base/assert.h"

namespace godwit {

namespace {

std::string ipv6_text(const sockaddr_in6& address) {
    std::array<char, INET6_ADDRSTRLEN> host{};
    ::inet_ntop(AF_INET6, &address.sin6_addr, host.data(), host.size());
    std::array<char, IF_NAMESIZE> interface {};
    const bool scoped =
        address.sin6_scope_id != 0 && ::if_indextoname(address.sin6_scope_id, interface.data()) != nullptr;
    return fmt::format("[{}{}{}]:{}", host.data(), scoped ? "%" : "", interface.data(), ntohs(address.sin6_port));
}

std::string ipv4_text(const sockaddr_in& address) {
    std::array<char, INET_ADDRSTRLEN> host{};
    ::inet_ntop(AF_INET, &address.sin_addr, host.data(), host.size());
    return fmt::format("{}:{}", host.data(), ntohs(address.sin_port));
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr* address, socklen_t bytes) : bytes_(bytes) {
    GODWIT_ASSERT(bytes <= sizeof(storage_), "a socket address of {} bytes", bytes);
    std::memcpy(&storage_, address, bytes);
}

Result<SocketAddress> SocketAddress::from_path(const std::string& path) {
    sockaddr_un address{};
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("the path of a socket has 1 to {} bytes", sizeof(address.sun_path) - 1));
    }
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return SocketAddress(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

SocketAddress SocketAddress::local_of(int fd) {
    SocketAddress result;
    result.bytes_ = sizeof(result.storage_);
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&result.storage_), &result.bytes_) != 0) {
        return {};
    }
    return result;
}

SocketAddress SocketAddress::peer_of(int fd) {
    SocketAddress result;
    result.bytes_ = sizeof(result.storage_);
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&result.storage_), &result.bytes_) != 0) {
        return {};
    }
    return result;
}

std::uint16_t SocketAddress::port() const {
    if (family() == AF_INET) {
        return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
    }
    if (family() == AF_INET6) {
        return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
    }
    return 0;
}

std::string SocketAddress::text() const {
    if (family() == AF_INET) {
        return ipv4_text(*reinterpret_cast<const sockaddr_in*>(&storage_));
    }
    if (family() == AF_INET6) {
        return ipv6_text(*reinterpret_cast<const sockaddr_in6*>(&storage_));
    }
    if (family() == AF_UNIX && bytes_ > offsetof(sockaddr_un, sun_path)) {
        const auto* path = reinterpret_cast<const sockaddr_un*>(&storage_)->sun_path;
        const std::size_t size = ::strnlen(path, bytes_ - offsetof(sockaddr_un, sun_path));
        if (size != 0) {
            return {path, size};
        }
    }
    return "an unnamed socket";
}

bool SocketAddress::operator==(const SocketAddress& other) const {
    return bytes_ == other.bytes_ && std::memcmp(&storage_, &other.storage_, bytes_) == 0;
}

}  // namespace godwit
