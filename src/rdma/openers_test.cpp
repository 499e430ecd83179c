#include "rdma/openers.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>

#include "io/name_resolution.h"
#include "io/socket_address.h"
#include "rdma/control_testing.h"
#include "rdma/hello.h"
#include "rdma/testing.h"

namespace godwit::rdma {
namespace {

using namespace rdma::test;  // NOLINT(google-build-using-namespace)

using Opened = Result<std::unique_ptr<Channel>>;

class RdmaOpenersTest : public ::testing::Test {
protected:
    HostParts parts() {
        return {.check_ucx = [this]() -> Status { return ucx_; },
                .make_fabric = [this](Transport transport, int, Log&) -> Result<std::unique_ptr<Fabric>> {
                    transport_ = transport;
                    ++fabrics_;
                    if (!fabric_works_) {
                        return fail(ErrorCode::io, "the device is on fire");
                    }
                    return std::make_unique<FakeFabric>(network_);
                },
                .identity = [this] { return host_; },
                .hello_timeout = hello_timeout_};
    }
    static RdmaAddress rdma_at(const std::string& uri) { return std::get<RdmaAddress>(*parse_address(uri)); }
    IncomingEndpoint listen(const std::string& uri = "rdma:127.0.0.1:0") {
        auto endpoint = make_rdma_endpoint(rdma_at(uri), parts(), clock_, log_);
        EXPECT_OK(endpoint);
        return std::move(*endpoint);
    }
    std::unique_ptr<ChannelOpener> connect(const std::string& uri) {
        auto opener = make_rdma_opener(rdma_at(uri), parts(), clock_, log_);
        EXPECT_OK(opener);
        return std::move(*opener);
    }
    static std::future<Opened> open_later(ChannelOpener& opener) {
        return std::async(std::launch::async, [&opener] { return opener.open(in(patience)); });
    }
    /// A connection of the test's own.
    static FileDescriptor raw_connection(const std::string& uri) {
        FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const RdmaAddress address = rdma_at(uri);
        const auto target = resolve_with_system({address.host, address.port}, false, true);
        EXPECT_OK(target);
        EXPECT_EQ(::connect(socket.get(), target->front().get(), target->front().size_bytes()), 0);
        return socket;
    }

    MonotonicClock clock_;
    RecordingLog log_;
    FakeNetwork network_{1};
    NamedDescriptors descriptors_;
    Status ucx_;
    /// Of both sides.
    HostIdentity host_{.boot_id = {std::byte{1}}, .pid_namespace = 1};
    Duration hello_timeout_ = patience;
    bool fabric_works_ = true;
    std::atomic<Transport> transport_{Transport::automatic};
    std::atomic<int> fabrics_{0};
};

TEST_F(RdmaOpenersTest, BothSidesGetAChannel) {
    auto endpoint = listen();
    ASSERT_TRUE(endpoint.socket_address);
    EXPECT_TRUE(endpoint.socket_address->starts_with("rdma:127.0.0.1:"));
    EXPECT_NE(*endpoint.socket_address, "rdma:127.0.0.1:0");
    auto destination = open_later(*endpoint.opener);
    const Opened source = connect(*endpoint.socket_address + ",transport=tcp")->open(in(patience));
    ASSERT_OK(source);
    const Opened received = destination.get();
    ASSERT_OK(received);
    EXPECT_EQ((*source)->traits().description, *endpoint.socket_address + " (tcp)");
    EXPECT_TRUE((*received)->traits().description.starts_with("rdma:127.0.0.1:"));
    EXPECT_NE((*source)->direct_page_sender(), nullptr);
    EXPECT_NE((*received)->direct_page_receiver(), nullptr);
    ASSERT_OK(write_all(**source, "hello"));
    EXPECT_EQ(read_once(**received).value_or("?"), "hello");
    EXPECT_EQ(transport_, Transport::tcp);
    EXPECT_EQ(fabrics_, 2);
}

TEST_F(RdmaOpenersTest, WithoutUcxBothSidesStillWorkWithinOneHost) {
    ucx_ = fail(ErrorCode::unsupported, "there is no UCX", "install it");
    auto endpoint = listen();
    EXPECT_TRUE(log_.contains("only a source on this host can come: there is no UCX")) << log_.text();
    auto destination = open_later(*endpoint.opener);
    const Opened source = connect(*endpoint.socket_address)->open(in(patience));
    ASSERT_OK(source);
    EXPECT_TRUE((*source)->traits().description.ends_with("(shm)"));
    EXPECT_OK(destination.get());
}

TEST_F(RdmaOpenersTest, ASourceWithoutUcxDoesNotConnectForATransportThatNeedsIt) {
    ucx_ = fail(ErrorCode::unsupported, "there is no UCX", "install it");
    for (const char* const transport : {"tcp", "verbs"}) {
        const auto opened = connect(std::string("rdma:127.0.0.1:1,transport=") + transport)->open(in(patience));
        EXPECT_CODE(opened, ErrorCode::unsupported);
    }
}

TEST_F(RdmaOpenersTest, ASourceWithoutUcxLearnsFromTheAnswerThatItNeedsIt) {
    host_.has_rdma_device = true;
    auto endpoint = listen();
    auto destination = open_later(*endpoint.opener);
    HostParts without_ucx = parts();
    without_ucx.identity = [other = host_]() mutable {
        other.boot_id[0] ^= std::byte{1};
        return other;
    };
    without_ucx.check_ucx = []() -> Status { return fail(ErrorCode::unsupported, "there is no UCX"); };
    auto opener = make_rdma_opener(rdma_at(*endpoint.socket_address), without_ucx, clock_, log_);
    ASSERT_OK(opener);
    EXPECT_CODE((*opener)->open(in(patience)), ErrorCode::unsupported);
    EXPECT_EQ(fabrics_, 1);
    EXPECT_OK(destination.get());
}

TEST_F(RdmaOpenersTest, ADestinationWithoutUcxRefusesATransportThatNeedsIt) {
    HostParts without_ucx = parts();
    without_ucx.check_ucx = []() -> Status { return fail(ErrorCode::unsupported, "there is no UCX", "install it"); };
    auto endpoint = make_rdma_endpoint(rdma_at("rdma:127.0.0.1:0"), without_ucx, clock_, log_);
    ASSERT_OK(endpoint);
    auto destination = open_later(*endpoint->opener);
    const Opened source = connect(*endpoint->socket_address + ",transport=tcp")->open(in(patience));
    EXPECT_CODE(source, ErrorCode::peer_failed);
    EXPECT_NE(source.error().message.find("the destination refused: there is no UCX"), std::string::npos)
        << source.error().message;
    EXPECT_CODE(destination.get(), ErrorCode::unsupported);
}

TEST_F(RdmaOpenersTest, TwoHostsWithoutADeviceAreToldWhatToDo) {
    host_ = {};
    auto endpoint = listen();
    auto destination = open_later(*endpoint.opener);
    const Opened source = connect(*endpoint.socket_address)->open(in(patience));
    EXPECT_CODE(source, ErrorCode::peer_failed);
    for (const char* const part : {"no RDMA device on both hosts", "use tcp:HOST:PORT", "transport=tcp"}) {
        EXPECT_NE(source.error().message.find(part), std::string::npos) << source.error().message;
    }
    EXPECT_CODE(destination.get(), ErrorCode::unsupported);
    EXPECT_EQ(fabrics_, 0);
}

TEST_F(RdmaOpenersTest, APortToConnectToIsNeeded) {
    const auto opener = make_rdma_opener(rdma_at("rdma:h:0"), parts(), clock_, log_);
    EXPECT_CODE(opener, ErrorCode::invalid_argument);
    EXPECT_EQ(opener.error().message, "cannot connect to 'rdma:h:0': port 0 is only for listening");
}

TEST_F(RdmaOpenersTest, ATransportIsTheSourcesToChoose) {
    listen("rdma:127.0.0.1:0,transport=shm");
    EXPECT_TRUE(log_.contains("the source chooses the transport; the option is ignored here")) << log_.text();
}

TEST_F(RdmaOpenersTest, AFailureAtTheDestinationIsToldToTheSource) {
    fabric_works_ = false;
    auto endpoint = listen();
    auto destination = open_later(*endpoint.opener);
    const Opened source = connect(*endpoint.socket_address)->open(in(patience));
    EXPECT_CODE(source, ErrorCode::peer_failed);
    EXPECT_NE(source.error().message.find("the device is on fire"), std::string::npos) << source.error().message;
    EXPECT_CODE(destination.get(), ErrorCode::io);
}

TEST_F(RdmaOpenersTest, ASourceThatComesToATcpPortIsToldSo) {
    auto endpoint = make_any_incoming_endpoint(*parse_address("tcp:127.0.0.1:0"), descriptors_, clock_, log_);
    ASSERT_OK(endpoint);
    auto destination = open_later(*endpoint->opener);
    const Opened source = connect("rdma" + endpoint->socket_address->substr(3))->open(in(patience));
    EXPECT_CODE(source, ErrorCode::peer_closed);
    EXPECT_NE(source.error().hint.find("waits with rdma:"), std::string::npos) << source.error().text();
    EXPECT_TRUE(log_.contains("started with rdma:")) << log_.text();
    endpoint->opener->cancel();
    EXPECT_CODE(destination.get(), ErrorCode::cancelled);
}

TEST_F(RdmaOpenersTest, StraysDoNotEndTheWait) {
    hello_timeout_ = 500ms;
    auto endpoint = listen();
    auto destination = open_later(*endpoint.opener);
    const FileDescriptor http = raw_connection(*endpoint.socket_address);
    ASSERT_EQ(::send(http.get(), "GET /", 5, 0), 5);
    EXPECT_TRUE(eventually([&] { return log_.contains("it is no migration stream"); }));
    const FileDescriptor half = raw_connection(*endpoint.socket_address);
    ASSERT_EQ(::send(half.get(), "GWRD", 4, 0), 4);
    EXPECT_TRUE(eventually([&] { return log_.contains("end of its first words in time"); })) << log_.text();
    const FileDescriptor garbage = raw_connection(*endpoint.socket_address);
    const std::string of_another_version = "GWRD" + std::string(hello_bytes - 4, 'x');
    ASSERT_EQ(::send(garbage.get(), of_another_version.data(), hello_bytes, 0), static_cast<ssize_t>(hello_bytes));
    EXPECT_TRUE(eventually([&] { return log_.contains("of the RDMA protocol, only 1 is known here"); })) << log_.text();
    // One that hesitates does not keep the source waiting.
    const FileDescriptor slow = raw_connection(*endpoint.socket_address);
    ASSERT_EQ(::send(slow.get(), "GWRD", 4, 0), 4);
    hello_timeout_ = patience;
    EXPECT_OK(connect(*endpoint.socket_address)->open(in(patience)));
    EXPECT_OK(destination.get());
}

TEST_F(RdmaOpenersTest, AWishForVerbsWithoutADeviceIsRefusedAndBothSidesSayWhatToDo) {
    auto endpoint = listen();
    auto destination = open_later(*endpoint.opener);
    const Opened source = connect(*endpoint.socket_address + ",transport=verbs")->open(in(patience));
    EXPECT_CODE(source, ErrorCode::peer_failed);
    const Opened refused = destination.get();
    EXPECT_CODE(refused, ErrorCode::unsupported);
    for (const std::string& text : {source.error().text(), refused.error().text()}) {
        EXPECT_NE(text.find("no RDMA device"), std::string::npos) << text;
        EXPECT_NE(text.find("leave ,transport=verbs out"), std::string::npos) << text;
    }
}

TEST_F(RdmaOpenersTest, CancelEndsEachStepOfTheDestination) {
    auto waiting = listen();
    auto destination = open_later(*waiting.opener);
    waiting.opener->cancel();
    EXPECT_CODE(destination.get(), ErrorCode::cancelled);

    auto greeting = listen();
    const FileDescriptor half = raw_connection(*greeting.socket_address);
    ASSERT_EQ(::send(half.get(), "GWRD", 4, 0), 4);
    const auto found = call_and_wake<ErrorCode>(
        [&] {
            const Opened opened = greeting.opener->open(in(patience));
            return opened ? ErrorCode::internal : opened.error().code;
        },
        [&] { greeting.opener->cancel(); });
    EXPECT_EQ(found, ErrorCode::cancelled);
}

TEST_F(RdmaOpenersTest, CancelEndsTheWaitForAnAnswer) {
    // It listens, and nobody accepts.
    auto endpoint = listen();
    const auto source = connect(*endpoint.socket_address);
    const auto found = call_and_wake<ErrorCode>(
        [&] {
            const Opened opened = source->open(in(patience));
            return opened ? ErrorCode::internal : opened.error().code;
        },
        [&] { source->cancel(); });
    EXPECT_EQ(found, ErrorCode::cancelled);
    const auto late = connect(*endpoint.socket_address)->open(in(50ms));
    EXPECT_CODE(late, ErrorCode::handshake_timeout);
    hello_timeout_ = 50ms;
    EXPECT_CODE(connect(*endpoint.socket_address)->open(in(patience)), ErrorCode::handshake_timeout);
    const auto refused = connect(*endpoint.socket_address);
    refused->cancel();
    EXPECT_CODE(refused->open(in(patience)), ErrorCode::cancelled);
}

TEST_F(RdmaOpenersTest, OtherAddressesAreOpenedAsEver) {
    auto endpoint = make_any_incoming_endpoint(*parse_address("tcp:127.0.0.1:0"), descriptors_, clock_, log_);
    ASSERT_OK(endpoint);
    auto destination = open_later(*endpoint->opener);
    auto opener = make_any_outgoing_opener(*parse_address(*endpoint->socket_address), descriptors_, clock_, log_);
    ASSERT_OK(opener);
    const Opened source = (*opener)->open(in(patience));
    ASSERT_OK(source);
    ASSERT_OK(write_all(**source, "QEVM"));
    EXPECT_OK(destination.get());
}

}  // namespace
}  // namespace godwit::rdma
