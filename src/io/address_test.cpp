#include "io/address.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

template <typename Kind>
Kind parsed(const std::string& uri) {
    const auto address = parse_address(uri);
    EXPECT_TRUE(address) << uri << ": " << address.error().text();
    EXPECT_TRUE(address && std::holds_alternative<Kind>(*address)) << uri;
    EXPECT_EQ(address ? to_string(*address) : "", uri) << "does not read back";
    return address && std::holds_alternative<Kind>(*address) ? std::get<Kind>(*address) : Kind{};
}

TEST(Address, ReadsEveryKindAndWritesItBack) {
    EXPECT_EQ(parsed<TcpAddress>("tcp:127.0.0.1:4444"), (TcpAddress{"127.0.0.1", 4444}));
    EXPECT_EQ(parsed<TcpAddress>("tcp:[::1]:0"), (TcpAddress{"::1", 0}));
    EXPECT_EQ(parsed<TcpAddress>("tcp:host.example.org:65535"), (TcpAddress{"host.example.org", 65535}));
    EXPECT_EQ(parsed<TcpAddress>("tcp::4444"), (TcpAddress{"", 4444}));
    EXPECT_EQ(parsed<RdmaAddress>("rdma:127.0.0.1:4444"), (RdmaAddress{"127.0.0.1", 4444}));
    EXPECT_EQ(parsed<RdmaAddress>("rdma::0"), (RdmaAddress{"", 0}));
    EXPECT_EQ(parsed<RdmaAddress>("rdma:[::1]:1,transport=shm"), (RdmaAddress{"::1", 1, RdmaTransport::shared_memory}));
    EXPECT_EQ(parsed<RdmaAddress>("rdma:h:1,transport=tcp"), (RdmaAddress{"h", 1, RdmaTransport::tcp}));
    EXPECT_EQ(parsed<RdmaAddress>("rdma:h:1,transport=verbs"), (RdmaAddress{"h", 1, RdmaTransport::verbs}));
    EXPECT_EQ(parsed<UnixAddress>("unix:/run/a b:c"), (UnixAddress{"/run/a b:c"}));
    EXPECT_EQ(parsed<ExecAddress>("exec:gzip -c > 'a:b'"), (ExecAddress{"gzip -c > 'a:b'"}));
    EXPECT_EQ(parsed<FileAddress>("file:./x,y"), (FileAddress{"./x,y"}));
    EXPECT_EQ(parsed<FdAddress>("fd:migration-1").is_inherited(), false);
    EXPECT_EQ(parsed<FdAddress>("fd:17").number(), 17);
}

TEST(Address, KnowsTheOlderNameOfRdma) {
    for (const char* uri : {"x-rdma:h:1", "x-rdma:h:1,transport=auto", "rdma:h:1,transport=auto"}) {
        const auto address = parse_address(uri);
        ASSERT_TRUE(address) << address.error().text();
        EXPECT_EQ(to_string(*address), "rdma:h:1");
    }
}

TEST(Address, AcceptsTheLongestSocketPath) {
    EXPECT_TRUE(parse_address("unix:" + std::string(107, 'p')));
    EXPECT_FALSE(parse_address("unix:" + std::string(108, 'p')));
}

TEST(Address, NamesTheKnownKindsForAnUnknownOne) {
    for (const char* uri : {"", "tcp", "rdma2:host:1", "TCP:a:1", "/tmp/x", ":"}) {
        const auto address = parse_address(uri);
        ASSERT_FALSE(address) << uri;
        EXPECT_EQ(address.error().code, ErrorCode::invalid_argument);
        for (const char* scheme : {"tcp:", "rdma:", "unix:", "fd:", "exec:", "file:"}) {
            EXPECT_NE(address.error().hint.find(scheme), std::string::npos) << uri;
        }
    }
}

TEST(Address, RefusesWhatIsMalformed) {
    const std::pair<std::string, std::string> cases[] = {
        {"tcp:", "nothing follows"},
        {"unix:", "nothing follows"},
        {"fd:", "nothing follows"},
        {"exec:", "nothing follows"},
        {"file:", "nothing follows"},
        {"tcp:host", "no port"},
        {"tcp:host:", "port ''"},
        {"tcp:host:http", "port 'http'"},
        {"tcp:host:65536", "port '65536'"},
        {"tcp:host:-1", "port '-1'"},
        {"tcp:host:+1", "port '+1'"},
        {"tcp:host: 1", "port ' 1'"},
        {"tcp:host:99999999999999999999", "port"},
        {"tcp:host:1,to=5", "port '1,to=5'"},
        {"tcp:::1:4444", "brackets"},
        {"tcp:[::1:4444", "bracket"},
        {"tcp:[::1]", "port"},
        {"tcp:[host]:4444", "no IPv6 address"},
        {"tcp:[]:4444", "no IPv6 address"},
        {"tcp:a b:4444", "no name"},
        {"tcp:" + std::string(256, 'h') + ":1", "no name"},
        {"rdma:", "nothing follows"},
        {"rdma:,transport=shm", "no host and port"},
        {"rdma:host", "write rdma:HOST:PORT"},
        {"x-rdma:::1:4444", "brackets"},
        {"rdma:host:65536", "port '65536'"},
        {"rdma:host:1,", "'' is no option"},
        {"rdma:host:1,transport=", "'transport=' is no option"},
        {"rdma:host:1,transport=roce", "'transport=roce' is no option"},
        {"rdma:host:1,transport=shm,x", "'transport=shm,x' is no option"},
        {"rdma:host:1,ipv4=on", "transport=verbs"},
        {"fd:1x", "begin with a digit"},
        {"fd:99999999999", "number"},
        {"fd:" + std::string(256, 'n'), "at most 255"},
        {"exec:  \t", "blank"},
        {"file:x,offset=4096", "offset"},
        {std::string("file:a\0b", 8), "NUL"},
        {"exec:" + std::string(100'000, 'x'), "longer than"},
    };
    for (const auto& [uri, part] : cases) {
        const auto address = parse_address(uri);
        ASSERT_FALSE(address) << uri;
        EXPECT_EQ(address.error().code, ErrorCode::invalid_argument);
        EXPECT_NE(address.error().text().find(part), std::string::npos) << address.error().text();
        EXPECT_LT(address.error().text().size(), 500U);
    }
}

}  // namespace
}  // namespace godwit
