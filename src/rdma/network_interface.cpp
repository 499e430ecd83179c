#include "rdma/network_interface.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "io/socket_address.h"
#include "io/system_error.h"

namespace godwit::rdma {
namespace {

/// An address in the form of IPv6, into which one of IPv4 is mapped.
struct HostAddress {
    in6_addr address{};
    /// Of a link-local address: the index of its interface; otherwise 0.
    std::uint32_t scope = 0;

    bool operator==(const HostAddress& other) const {
        return std::memcmp(&address, &other.address, sizeof(address)) == 0 && scope == other.scope;
    }
    /// All of 127.0.0.0/8 is the loopback interface's, though it has only one of these addresses.
    bool is_loopback() const {
        constexpr std::uint8_t loopback_net = 127;
        return IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == loopback_net;
    }
};

std::optional<HostAddress> host_address_of(const sockaddr* address) {
    if (address == nullptr) {
        return {};
    }
    HostAddress host;
    if (address->sa_family == AF_INET6) {
        sockaddr_in6 full{};
        std::memcpy(&full, address, sizeof(full));
        host.address = full.sin6_addr;
        host.scope = full.sin6_scope_id;
        return host;
    }
    if (address->sa_family == AF_INET) {
        sockaddr_in full{};
        std::memcpy(&full, address, sizeof(full));
        host.address.s6_addr[10] = host.address.s6_addr[11] = 0xff;
        std::memcpy(&host.address.s6_addr[12], &full.sin_addr, sizeof(full.sin_addr));
        return host;
    }
    return {};
}

struct FreeInterfaces {
    void operator()(ifaddrs* list) const { ::freeifaddrs(list); }
};

}  // namespace

Result<std::string> interface_of(int socket) {
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) {
        return fail_errno(ErrorCode::io, "cannot list this host's network interfaces", errno);
    }
    const std::unique_ptr<ifaddrs, FreeInterfaces> interfaces(list);
    const SocketAddress local = SocketAddress::local_of(socket);
    const auto wanted = host_address_of(local.get());
    for (const ifaddrs* entry = list; wanted && entry != nullptr; entry = entry->ifa_next) {
        const bool serves_loopback = wanted->is_loopback() && (entry->ifa_flags & IFF_LOOPBACK) != 0;
        if (serves_loopback || host_address_of(entry->ifa_addr) == wanted) {
            return std::string(entry->ifa_name);
        }
    }
    return fail(ErrorCode::io, fmt::format("no network interface of this host has the address {}", local.text()),
                "name the interface to use in the environment variable UCX_NET_DEVICES");
}

}  // namespace godwit::rdma
