#include <arpa/inet.h>
#include <fmt/format.h>
#include <libnbd.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cctype>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "io/allocation_bitmap.h"
#include "io/nbd_export.h"

namespace godwit {

namespace {

struct Free {
    void operator()(char* text) const { std::free(text); }
};
using LibraryText = std::unique_ptr<char, Free>;

/// With %XX made bytes again.
std::string decoded(std::string_view text) {
    std::string bytes;
    while (!text.empty()) {
        unsigned value = 0;
        const char* digits = text.data() + 1;
        if (text.size() >= 3 && text.front() == '%' &&
            std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2) {
            bytes += static_cast<char>(value);
            text.remove_prefix(3);
        } else {
            bytes += text.front();
            text.remove_prefix(1);
        }
    }
    return bytes;
}

/// Names a file system object of this host, under whatever path it is seen. Empty when it is not there.
std::string object_at(const std::string& path) {
    struct stat info {};
    const auto boot = current_boot_identity();
    if (!boot || ::stat(path.c_str(), &info) != 0) {
        return {};
    }
    return fmt::format("{}:{}:{}", *boot, info.st_dev, info.st_ino);
}

bool is_loopback(const sockaddr_storage& peer) {
    if (peer.ss_family == AF_INET) {
        const auto& address = reinterpret_cast<const sockaddr_in&>(peer);
        return (ntohl(address.sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
    }
    const auto& address = reinterpret_cast<const sockaddr_in6&>(peer);
    return peer.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address.sin6_addr) != 0;
}

std::string unix_identity(std::string_view query, const std::string& name) {
    constexpr std::string_view key = "socket=";
    const std::size_t start = query.find(key);
    if (start == std::string_view::npos) {
        return {};
    }
    const std::string_view path = query.substr(start + key.size());
    const std::string socket = object_at(decoded(path.substr(0, path.find('&'))));
    return socket.empty() ? socket : fmt::format("nbd+unix:{}/{}", socket, name);
}

std::string tcp_identity(std::string_view authority, const sockaddr_storage& peer, const std::string& name) {
    std::string server;
    if (is_loopback(peer)) {
        // The same address belongs to each network namespace of its own. Ports tell servers apart.
        const std::string space = object_at("/proc/self/ns/net");
        if (space.empty()) {
            return {};
        }
        server = fmt::format("{}{}", space, authority.substr(authority.rfind(':')));
    } else {
        for (const char letter : authority) {
            server += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
        }
    }
    return fmt::format("nbd:{}/{}", server, name);
}

}  // namespace

std::string identity_of(nbd_handle* handle) {
    // Here libnbd gives each server a port and escapes what must be escaped, and nothing else.
    const LibraryText text(::nbd_get_uri(handle));
    const LibraryText name_text(::nbd_get_export_name(handle));
    sockaddr_storage peer{};
    socklen_t peer_bytes = sizeof(peer);
    if (!text || !name_text ||
        ::getpeername(::nbd_aio_get_fd(handle), reinterpret_cast<sockaddr*>(&peer), &peer_bytes) != 0) {
        return {};
    }
    const std::string name = name_text.get();
    const std::string_view uri = text.get();
    constexpr std::string_view separator = "://";
    const std::size_t scheme_end = uri.find(separator);
    if (scheme_end == std::string_view::npos) {
        return {};
    }
    const std::string_view rest = uri.substr(scheme_end + separator.size());
    if (peer.ss_family == AF_UNIX) {
        const std::size_t query = rest.find('?');
        return query == std::string_view::npos ? std::string{} : unix_identity(rest.substr(query + 1), name);
    }
    std::string_view authority = rest.substr(0, rest.find('/'));
    authority.remove_prefix(authority.find('@') == std::string_view::npos ? 0 : authority.find('@') + 1);
    return authority.rfind(':') == std::string_view::npos ? std::string{} : tcp_identity(authority, peer, name);
}

}  // namespace godwit
