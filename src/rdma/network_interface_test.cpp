#include "rdma/network_interface.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <string>

#include "rdma/control_testing.h"

namespace godwit::rdma {
namespace {

using namespace rdma::test;  // NOLINT(google-build-using-namespace)

/// A socket with a local address; it need not be connected to have one.
FileDescriptor bound_to(const std::string& host) {
    const bool is_ipv6 = host.find(':') != std::string::npos;
    FileDescriptor socket(::socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 ipv6{};
    sockaddr_in ipv4{};
    ipv6.sin6_family = AF_INET6;
    ipv4.sin_family = AF_INET;
    void* const number = is_ipv6 ? static_cast<void*>(&ipv6.sin6_addr) : &ipv4.sin_addr;
    EXPECT_EQ(::inet_pton(is_ipv6 ? AF_INET6 : AF_INET, host.c_str(), number), 1);
    const auto* const address =
        is_ipv6 ? reinterpret_cast<const sockaddr*>(&ipv6) : reinterpret_cast<const sockaddr*>(&ipv4);
    EXPECT_EQ(::bind(socket.get(), address, is_ipv6 ? sizeof(ipv6) : sizeof(ipv4)), 0) << std::strerror(errno);
    return socket;
}

TEST(NetworkInterfaceTest, LoopbackAddressesBelongToTheLoopbackInterface) {
    for (const char* const host : {"127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"}) {
        EXPECT_EQ(interface_of(bound_to(host).get()), "lo") << host;
    }
    const auto [one, other] = tcp_pair();
    EXPECT_EQ(interface_of(one.get()), "lo");
}

TEST(NetworkInterfaceTest, AnAddressThatNoInterfaceHasIsAnError) {
    const auto found = interface_of(bound_to("0.0.0.0").get());
    EXPECT_CODE(found, ErrorCode::io);
    EXPECT_NE(found.error().text().find("UCX_NET_DEVICES"), std::string::npos) << found.error().text();
    const auto [one, other] = socket_pair();
    EXPECT_CODE(interface_of(one.get()), ErrorCode::io);
}

}  // namespace
}  // namespace godwit::rdma
