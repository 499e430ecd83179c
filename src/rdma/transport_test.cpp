#include "rdma/transport.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "io/test_support.h"

namespace godwit::rdma {
namespace {

HostIdentity host(int boot, std::uint64_t pid_namespace, bool has_rdma_device) {
    HostIdentity identity{.pid_namespace = pid_namespace, .has_rdma_device = has_rdma_device};
    identity.boot_id.fill(static_cast<std::byte>(boot));
    return identity;
}

struct Case {
    const char* name;
    Transport wish;
    HostIdentity source;
    HostIdentity destination;
    /// Absent: there is none.
    std::optional<Transport> chosen;
};

class TransportTest : public ::testing::TestWithParam<Case> {};

TEST_P(TransportTest, IsChosenByBothHosts) {
    const auto chosen = choose_transport(GetParam().wish, GetParam().source, GetParam().destination);
    if (GetParam().chosen) {
        EXPECT_EQ(chosen, *GetParam().chosen);
    } else {
        EXPECT_CODE(chosen, ErrorCode::unsupported);
        const char* const way_out =
            GetParam().wish == Transport::verbs ? "leave ,transport=verbs out" : "transport=tcp";
        EXPECT_NE(chosen.error().hint.find(way_out), std::string::npos) << chosen.error().text();
    }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, TransportTest,
    ::testing::Values(
        Case{"OneHost", Transport::automatic, host(1, 5, false), host(1, 5, false), Transport::shared_memory},
        Case{"TwoHosts", Transport::automatic, host(1, 5, false), host(2, 5, false), {}},
        Case{"TwoNamespaces", Transport::automatic, host(1, 5, false), host(1, 6, false), {}},
        Case{"UnknownBoot", Transport::automatic, host(0, 5, false), host(0, 5, false), {}},
        Case{"UnknownNamespace", Transport::automatic, host(1, 0, false), host(1, 0, false), {}},
        Case{"BothHaveDevices", Transport::automatic, host(1, 5, true), host(2, 5, true), Transport::verbs},
        Case{"OneHostWithDevices", Transport::automatic, host(1, 5, true), host(1, 5, true), Transport::shared_memory},
        Case{"OneHasADevice", Transport::automatic, host(1, 5, true), host(2, 5, false), {}},
        Case{"WishForTcp", Transport::tcp, host(1, 5, true), host(1, 5, true), Transport::tcp},
        Case{"WishForVerbs", Transport::verbs, host(1, 5, true), host(2, 5, true), Transport::verbs},
        Case{"WishForVerbsWithoutDevices", Transport::verbs, host(1, 5, false), host(2, 5, false), {}},
        Case{"WishForVerbsAndNoneHere", Transport::verbs, host(1, 5, true), host(2, 5, false), {}},
        Case{"WishForMemory", Transport::shared_memory, host(1, 5, false), host(2, 5, false),
             Transport::shared_memory}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(TransportNeedsUcxTest, OnlyWhatLeavesTheHostDoes) {
    EXPECT_FALSE(needs_ucx(Transport::shared_memory));
    EXPECT_TRUE(needs_ucx(Transport::tcp));
    EXPECT_TRUE(needs_ucx(Transport::verbs));
}

TEST(TransportNameTest, NamesAreThoseOfTheUri) {
    EXPECT_EQ(to_string(Transport::automatic), "auto");
    EXPECT_EQ(to_string(Transport::shared_memory), "shm");
    EXPECT_EQ(to_string(Transport::tcp), "tcp");
    EXPECT_EQ(to_string(Transport::verbs), "verbs");
    EXPECT_EQ(to_string(static_cast<Transport>(99)), "unknown");
}

TEST(HostIdentityTest, IsKnownAndStaysTheSame) {
    const HostIdentity one = this_host();
    const HostIdentity other = this_host();
    EXPECT_NE(one.boot_id, decltype(one.boot_id){});
    EXPECT_NE(one.pid_namespace, 0U);
    EXPECT_EQ(one.boot_id, other.boot_id);
    EXPECT_EQ(one.pid_namespace, other.pid_namespace);
    EXPECT_EQ(one.has_rdma_device, other.has_rdma_device);
}

}  // namespace
}  // namespace godwit::rdma
