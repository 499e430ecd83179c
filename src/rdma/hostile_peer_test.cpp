#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "rdma/control_testing.h"
#include "rdma/socket_control_connection.h"

namespace godwit::rdma {
namespace {

using namespace rdma::test;  // NOLINT(google-build-using-namespace)

/// A connection, and a peer that sends bytes as it likes.
class HostilePeerTest : public ::testing::Test {
protected:
    void connect(ControlTimes times = {.farewell = 50ms}) {
        auto [ours, theirs] = socket_pair();
        connection_ = *SocketControlConnection::create(std::move(ours), "peer", clock_, times);
        peer_ = std::move(theirs);
    }
    void say(std::string_view bytes) const {
        // It may have been closed already.
        static_cast<void>(::send(peer_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
    }
    /// What the peer was sent up to the end.
    std::string hear() const {
        std::string heard;
        std::array<char, 4096> part{};
        for (;;) {
            const ssize_t got = ::recv(peer_.get(), part.data(), part.size(), 0);
            if (got <= 0) {
                return heard;
            }
            heard.append(part.data(), static_cast<std::size_t>(got));
        }
    }
    Error failure() const {
        EXPECT_TRUE(eventually([&] { return !connection_->status(); }));
        const Status status = connection_->status();
        return status ? Error{} : status.error();
    }
    void expect_corrupt(std::string_view bytes, std::string_view message) {
        connect();
        say(bytes);
        const Error error = failure();
        EXPECT_EQ(error.code, ErrorCode::stream_corrupt) << error.text();
        EXPECT_NE(error.message.find(message), std::string::npos) << error.message;
        // The peer is told what it broke, not that this side has had enough.
        connection_->shut_down("enough");
        const std::string heard = hear();
        EXPECT_NE(heard.find(message), std::string::npos) << printable_part(heard);
    }
    static std::string printable_part(const std::string& text) { return text.substr(0, 200); }

    MonotonicClock clock_;
    FileDescriptor peer_;
    std::unique_ptr<ControlConnection> connection_;
};

TEST_F(HostilePeerTest, AMessageWithoutReadyIsRefused) {
    expect_corrupt(raw(MessageType::stream, "one") + raw(MessageType::stream, "two"), "STREAM came without READY");
    // The first one is still delivered.
    connect();
    say(raw(MessageType::stream, "one") + raw(MessageType::end_of_stream));
    EXPECT_EQ(failure().code, ErrorCode::stream_corrupt);
    const auto message = connection_->receive(in(patience));
    ASSERT_OK(message);
    EXPECT_EQ(text_of(**message), "one");
}

TEST_F(HostilePeerTest, AnAnswerThatNobodyAskedForIsRefused) {
    expect_corrupt(raw(MessageType::register_result, "keys"), "REGISTER_RESULT came unasked");
}

TEST_F(HostilePeerTest, ReadyThatComesTooEarlyIsRefused) {
    expect_corrupt(raw(MessageType::ready) + raw(MessageType::ready), "READY came too early");
}

TEST_F(HostilePeerTest, MalformedHeadersAreRefused) {
    expect_corrupt(raw(0, 99), "unknown type 99");
    expect_corrupt(raw(0, 0), "unknown type 0");
    expect_corrupt(raw(0xffffffff, 3), "4294967295 bytes");
    expect_corrupt(raw(5, 2) + "extra", "READY");
    expect_corrupt("GET / HTTP/1.1\r\nHost: x\r\n", "unknown type");
}

TEST_F(HostilePeerTest, AClaimedLengthTakesNoMemoryAndACloseInTheMiddleIsSeen) {
    connect();
    say(raw(max_payload_bytes, 3) + "some");
    EXPECT_CODE(connection_->receive(in(30ms)), ErrorCode::idle_timeout);
    peer_.reset();
    const Error error = failure();
    EXPECT_EQ(error.code, ErrorCode::peer_closed);
    EXPECT_NE(error.message.find("in the middle of a message"), std::string::npos) << error.message;
}

TEST_F(HostilePeerTest, HalfAHeaderAndACloseIsSeen) {
    connect();
    say(raw(MessageType::heartbeat).substr(0, 7));
    peer_.reset();
    EXPECT_NE(failure().message.find("in the middle of a message"), std::string::npos);
}

TEST_F(HostilePeerTest, BytesThatComeOneByOneAreAMessage) {
    connect();
    for (const char byte : raw(MessageType::heartbeat) + raw(MessageType::stream, "slow")) {
        say({&byte, 1});
        std::this_thread::yield();
    }
    const auto message = connection_->receive(in(patience));
    ASSERT_OK(message);
    EXPECT_EQ(text_of(**message), "slow");
}

TEST_F(HostilePeerTest, ACloseIsSeenAtOnce) {
    connect();
    const auto found =
        call_and_wake<Result<Message*>>([&] { return connection_->receive(never); }, [&] { peer_.reset(); });
    EXPECT_CODE(found, ErrorCode::peer_closed);
}

TEST_F(HostilePeerTest, APeerThatFallsSilentIsTakenForGone) {
    connect({.heartbeat = 20ms, .silence = 200ms, .farewell = 100ms});
    const Instant start = clock_.now();
    const Error error = failure();
    EXPECT_EQ(error.code, ErrorCode::idle_timeout);
    EXPECT_EQ(error.hint, "the peer is stopped or cannot be reached");
    EXPECT_GE(clock_.now() - start, 150ms);
    connection_->shut_down("too long");
    EXPECT_NE(hear().find("too long"), std::string::npos);
}

TEST_F(HostilePeerTest, APeerThatNeverReadsDoesNotFillTheMemory) {
    connect({.heartbeat = 1ms, .silence = 10s, .farewell = 50ms});
    say(raw(MessageType::ready));
    // More than the socket takes: the rest is kept, and then nothing more is taken.
    const std::string big(max_payload_bytes, 'r');
    Status sent;
    std::size_t count = 0;
    while (sent && count < 1000) {
        sent = connection_->send(text_message(MessageType::register_result, big), in(100ms));
        ++count;
    }
    EXPECT_CODE(sent, ErrorCode::idle_timeout);
    EXPECT_LT(count, 40U);
    EXPECT_OK(connection_->send(text_message(MessageType::stream, big), in(patience)));
    // It cannot have used up what has not left.
    say(raw(MessageType::ready));
    EXPECT_EQ(failure().code, ErrorCode::stream_corrupt);
    const Instant start = clock_.now();
    connection_.reset();
    EXPECT_LT(clock_.now() - start, 2s);
}

TEST_F(HostilePeerTest, WhatTheSocketDidNotTakeAtOnceArrivesWhole) {
    connect({.heartbeat = 1ms, .silence = 10s, .farewell = 5s});
    const std::string big(max_payload_bytes, 'r');
    std::size_t sent_count = 0;
    while (connection_->send(text_message(MessageType::register_result, big), in(100ms))) {
        ++sent_count;
    }
    connection_->shut_down("that was all");
    const std::string heard = hear();
    EXPECT_EQ(static_cast<std::size_t>(std::count(heard.begin(), heard.end(), 'r')), sent_count * big.size());
    EXPECT_TRUE(heard.ends_with("that was all"));
    peer_.reset();  // to which it closes as well
}

TEST_F(HostilePeerTest, NoErrorIsSentToAPeerThatGaveUpItself) {
    connect();
    say(raw(MessageType::error, "no room"));
    EXPECT_NE(failure().message.find("the peer gave up: no room"), std::string::npos);
    connection_->shut_down("enough");
    EXPECT_EQ(hear(), raw(MessageType::ready));
}

TEST_F(HostilePeerTest, RandomBytesNeitherHangNorCrash) {
    std::uint32_t state = 12345;
    const auto next = [&] { return state = state * 1664525U + 1013904223U; };
    for (int round = 0; round < 200; ++round) {
        connect({.heartbeat = 1s, .silence = 4s, .farewell = 10ms});
        std::string bytes = raw(next() % 64, 1 + (next() >> 8U) % 14);
        for (std::uint32_t i = 0; i < next() % 300; ++i) {
            bytes += static_cast<char>(next() >> 16U);
        }
        say(bytes);
        peer_.reset();
        const Error error = failure();
        EXPECT_TRUE(error.code == ErrorCode::stream_corrupt || error.code == ErrorCode::peer_closed) << error.text();
        connection_.reset();
    }
}

}  // namespace
}  // namespace godwit::rdma
