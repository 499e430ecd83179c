#include "io/tls_openers.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <future>
#include <vector>

#include "io/connect_opener.h"
#include "io/listen_opener.h"
#include "io/openers.h"
#include "io/socket_address.h"
#include "io/tls_raw_peer_testing.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

using Opened = Result<std::unique_ptr<Channel>>;

class TlsOpenersTest : public ::testing::Test {
protected:
    ~TlsOpenersTest() override {
        if (endpoint_.opener != nullptr) {
            endpoint_.opener->cancel();
        }
    }
    void listen(TlsTerms terms = server_terms()) {
        auto endpoint =
            make_incoming_endpoint(*parse_address("unix:" + (directory_ / "s")), descriptors_, tls_clock, log_, terms);
        ASSERT_OK(endpoint);
        endpoint_ = std::move(*endpoint);
        opened_ = std::async(std::launch::async, [this] { return endpoint_.opener->open(in(patience)); });
    }
    Opened connect(const TlsTerms& terms) {
        auto opener =
            make_outgoing_opener(*parse_address("unix:" + (directory_ / "s")), descriptors_, tls_clock, log_, terms);
        return opener ? (*opener)->open(in(patience)) : Opened(fail(opener.error()));
    }
    FileDescriptor connect_plainly() {
        FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const SocketAddress target = *SocketAddress::from_path(directory_ / "s");
        EXPECT_EQ(::connect(socket.get(), target.get(), target.size_bytes()), 0);
        return socket;
    }
    bool waits() { return opened_.wait_for(20ms) == std::future_status::timeout; }
    void expect_migration_can_come() {
        auto source = connect(client_terms());
        ASSERT_OK(source);
        ASSERT_OK(write_all(**source, "QEVM and what follows"));
        auto destination = opened_.get();
        ASSERT_OK(destination);
        EXPECT_TRUE((*destination)->traits().encrypted);
        EXPECT_EQ(*read_once(**destination), "QEVM and what follows");
    }

    TemporaryDirectory directory_;
    RecordingLog log_;
    NamedDescriptors descriptors_;
    IncomingEndpoint endpoint_;
    std::future<Opened> opened_;
};

TEST_F(TlsOpenersTest, ASourceComes) {
    listen();
    expect_migration_can_come();
    EXPECT_TRUE(log_.contains("O=godwit,CN=source")) << log_.text();
}

TEST_F(TlsOpenersTest, StrangersNeitherEndNorDelayTheWait) {
    listen();
    const FileDescriptor silent = connect_plainly();
    const FileDescriptor plain = connect_plainly();
    ASSERT_EQ(::send(plain.get(), "QEVM\0\0\0\3", 8, MSG_NOSIGNAL), 8);
    const FileDescriptor web = connect_plainly();
    ASSERT_EQ(::send(web.get(), "GET / HTTP/1.0\r\n", 16, MSG_NOSIGNAL), 16);
    // The beginning of a hello, and no more.
    const FileDescriptor slow = connect_plainly();
    ASSERT_EQ(::send(slow.get(), "\x16\x03\x01\x02\x00\x01", 6, MSG_NOSIGNAL), 6);
    ASSERT_TRUE(eventually([&] {
        return log_.contains("is a migration without TLS") && log_.contains("begins with 'GET");
    })) << log_.text();
    // One that may come, and then says something else.
    auto other = connect(client_terms());
    ASSERT_OK(other);
    ASSERT_OK(write_all(**other, "GET / HTTP/1.0\r\n\r\n"));
    ASSERT_TRUE(eventually([&] { return log_.contains("inside TLS it begins with"); })) << log_.text();
    EXPECT_TRUE(waits());
    expect_migration_can_come();
}

TEST_F(TlsOpenersTest, WhoMayNotComeIsSentAway) {
    listen();
    auto refused = connect(client_terms("anonymous"));
    ASSERT_OK(refused);
    EXPECT_CODE(read_once(**refused), ErrorCode::tls_certificate);
    EXPECT_TRUE(log_.contains("no certificate")) << log_.text();
    EXPECT_TRUE(waits());
    expect_migration_can_come();
}

TEST_F(TlsOpenersTest, ASilentPeerIsClosedInTime) {
    TlsTerms terms = server_terms();
    terms.handshake_timeout = 50ms;
    listen(terms);
    const FileDescriptor slow = connect_plainly();
    ASSERT_EQ(::send(slow.get(), "\x16\x03\x01\x02\x00\x01", 6, MSG_NOSIGNAL), 6);
    ASSERT_TRUE(eventually([&] { return log_.contains("end of its first words in time"); })) << log_.text();
    EXPECT_TRUE(waits());
}

TEST_F(TlsOpenersTest, SilentOnesDoNotPushASourceOut) {
    listen();
    // It has the answer to its hello, and waits for the rest of its own words.
    const FileDescriptor source = connect_plainly();
    RawTlsPeer hello(GNUTLS_CLIENT | GNUTLS_NONBLOCK, source.get());
    ASSERT_EQ(::fcntl(source.get(), F_SETFL, O_NONBLOCK), 0);
    int code = hello.shake_hands();
    const FileDescriptor slow = connect_plainly();
    ASSERT_EQ(::send(slow.get(), "\x16\x03\x01\x02\x00\x01", 6, MSG_NOSIGNAL), 6);
    std::vector<FileDescriptor> silent;
    for (int i = 0; i < 40; ++i) {
        silent.push_back(connect_plainly());
    }
    ASSERT_TRUE(eventually([&] { return log_.contains("it said nothing, and others came"); })) << log_.text();
    ASSERT_TRUE(eventually([&] {
        code = code == GNUTLS_E_AGAIN ? hello.shake_hands() : code;
        return code != GNUTLS_E_AGAIN;
    }));
    EXPECT_EQ(code, GNUTLS_E_SUCCESS) << gnutls_strerror(code);
    EXPECT_FALSE(log_.contains("first words")) << log_.text();
    ASSERT_TRUE(hello.send("QEVM and what follows"));
    EXPECT_OK(opened_.get());
}

TEST_F(TlsOpenersTest, WhoHasBegunGoesBeforeWhoHasBeenAnswered) {
    listen();
    const FileDescriptor source = connect_plainly();
    RawTlsPeer hello(GNUTLS_CLIENT | GNUTLS_NONBLOCK, source.get());
    ASSERT_EQ(::fcntl(source.get(), F_SETFL, O_NONBLOCK), 0);
    int code = hello.shake_hands();
    std::vector<FileDescriptor> begun;
    for (int i = 0; i < 20; ++i) {
        begun.push_back(connect_plainly());
        ASSERT_EQ(::send(begun.back().get(), "\x16\x03\x01\x02\x00\x01", 6, MSG_NOSIGNAL), 6);
    }
    ASSERT_TRUE(eventually([&] { return log_.contains("first words, and others came"); })) << log_.text();
    ASSERT_TRUE(eventually([&] {
        code = code == GNUTLS_E_AGAIN ? hello.shake_hands() : code;
        return code != GNUTLS_E_AGAIN;
    }));
    EXPECT_EQ(code, GNUTLS_E_SUCCESS) << gnutls_strerror(code);
    EXPECT_TRUE(waits());
}

TEST_F(TlsOpenersTest, ARefusalOfTlsLeavesTheDescriptor) {
    for (const bool outgoing : {true, false}) {
        int ends[2];
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        const FileDescriptor other(ends[1]);
        ASSERT_OK(descriptors_.put("a", FileDescriptor(ends[0])));
        const auto address = *parse_address("fd:a");
        if (outgoing) {
            EXPECT_CODE(make_outgoing_opener(address, descriptors_, tls_clock, log_, client_terms("good", "")),
                        ErrorCode::invalid_argument);
        } else {
            EXPECT_CODE(make_incoming_endpoint(address, descriptors_, tls_clock, log_, client_terms()),
                        ErrorCode::invalid_argument);
        }
        EXPECT_EQ(descriptors_.size(), 1U);
        EXPECT_OK(descriptors_.close("a"));
    }
}

TEST_F(TlsOpenersTest, ACancelEndsAHandshake) {
    auto listener = ListenOpener::create(UnixAddress{directory_ / "s"}, tls_clock, log_);
    ASSERT_OK(listener);
    auto opener = make_outgoing_opener(*parse_address("unix:" + (directory_ / "s")), descriptors_, tls_clock, log_,
                                       client_terms());
    ASSERT_OK(opener);
    EXPECT_CODE(call_and_wake<Opened>([&] { return (*opener)->open(in(patience)); }, [&] { (*opener)->cancel(); }),
                ErrorCode::cancelled);
}

TEST_F(TlsOpenersTest, AHandshakeHasItsOwnDeadline) {
    auto listener = ListenOpener::create(UnixAddress{directory_ / "s"}, tls_clock, log_);
    ASSERT_OK(listener);
    TlsTerms terms = client_terms();
    terms.handshake_timeout = 50ms;
    EXPECT_CODE(connect(terms), ErrorCode::handshake_timeout);
}

TEST_F(TlsOpenersTest, WhatCannotBeProtectedIsRefused) {
    for (const char* uri : {"file:/tmp/x", "exec:cat"}) {
        EXPECT_CODE(make_outgoing_opener(*parse_address(uri), descriptors_, tls_clock, log_, client_terms()),
                    ErrorCode::unsupported);
        EXPECT_CODE(make_incoming_endpoint(*parse_address(uri), descriptors_, tls_clock, log_, server_terms()),
                    ErrorCode::unsupported);
    }
    EXPECT_CODE(connect(client_terms("good", "")), ErrorCode::invalid_argument);
    EXPECT_CODE(connect(client_terms("good", std::string("localhost\0.example", 18))), ErrorCode::invalid_argument);
    EXPECT_CODE(connect(server_terms()), ErrorCode::invalid_argument);
    EXPECT_CODE(
        make_incoming_endpoint(*parse_address("tcp:127.0.0.1:0"), descriptors_, tls_clock, log_, client_terms()),
        ErrorCode::invalid_argument);
    TlsTerms asks = server_terms("keys");
    asks.authorization = std::make_shared<const TlsAuthorization>(std::vector<TlsAuthorization::Rule>{}, true);
    EXPECT_CODE(make_incoming_endpoint(*parse_address("tcp:127.0.0.1:0"), descriptors_, tls_clock, log_, asks),
                ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace godwit
