// Peers that do what TLS allows and a godwit never does, and peers that do what nobody should.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "io/tls_raw_peer_testing.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

constexpr std::size_t part_bytes = 300'000;

std::string part(int number) {
    return std::string(part_bytes, static_cast<char>('a' + number));
}

/// A `TlsChannel` at one end, GnuTLS at the other.
struct OddPair {
    explicit OddPair(bool is_server_odd, const std::string& priority = "NORMAL", bool tickets = false)
        : odd((is_server_odd ? GNUTLS_SERVER : GNUTLS_CLIENT), sockets.raw[1], priority) {
        if (tickets) {
            odd.enable_tickets();
        }
        auto other = std::async(std::launch::async, [&] { return odd.shake_hands(); });
        auto session =
            shake_hands(*sockets.ends[0], is_server_odd ? client_terms() : server_terms(), tls_clock, in(patience));
        EXPECT_OK(session);
        EXPECT_EQ(other.get(), GNUTLS_E_SUCCESS);
        if (session) {
            channel = std::make_unique<TlsChannel>(std::move(sockets.ends[0]), std::move(*session), tls_clock);
        }
    }
    SocketPair sockets;
    RawTlsPeer odd;
    std::unique_ptr<Channel> channel;
};

Result<std::string> read_exactly(Channel& channel, std::size_t bytes) {
    std::string text;
    while (text.size() < bytes) {
        auto got = read_once(channel);
        if (!got) {
            return got;
        }
        if (got->empty()) {
            break;
        }
        text += *got;
    }
    return text;
}

class TlsOddPeerTest : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Each, TlsOddPeerTest, ::testing::Bool(),
                         [](const auto& each) { return each.param ? "Server" : "Client"; });

/// The peer asks for new keys of both sides in the middle, while both write at full speed.
TEST_P(TlsOddPeerTest, ChangesKeysInMidStream) {
    OddPair pair(GetParam());
    ASSERT_NE(pair.channel, nullptr);
    constexpr int parts = 6;
    std::thread writer([&] {
        for (int i = 0; i < parts; ++i) {
            EXPECT_OK(write_all(*pair.channel, part(i)));
        }
    });
    auto read = std::async(std::launch::async, [&] { return read_exactly(*pair.channel, parts * part_bytes); });
    // GnuTLS takes no more than eight changes in a second.
    std::thread odd_writer([&] {
        for (int i = 0; i < parts; ++i) {
            EXPECT_TRUE(pair.odd.send(part(i)));
            EXPECT_EQ(gnutls_session_key_update(pair.odd.session(), i % 2 == 0 ? GNUTLS_KU_PEER : 0), 0);
        }
    });
    odd_writer.join();
    for (int i = 0; i < parts; ++i) {
        EXPECT_TRUE(pair.odd.receive(part_bytes) == part(i)) << i;
    }
    writer.join();
    const auto got = read.get();
    ASSERT_OK(got);
    for (int i = 0; i < parts; ++i) {
        EXPECT_TRUE(got->substr(static_cast<std::size_t>(i) * part_bytes, part_bytes) == part(i)) << i;
    }
}

/// Who only writes answers the wish for new keys with what it writes next.
TEST_P(TlsOddPeerTest, ChangesKeysWhileNothingIsSaid) {
    OddPair pair(GetParam());
    ASSERT_NE(pair.channel, nullptr);
    ASSERT_EQ(gnutls_session_key_update(pair.odd.session(), GNUTLS_KU_PEER), 0);
    ASSERT_TRUE(pair.odd.send("with new keys"));
    EXPECT_EQ(*read_once(*pair.channel), "with new keys");
    ASSERT_OK(write_all(*pair.channel, "with new keys too"));
    EXPECT_EQ(pair.odd.receive(17), "with new keys too");
    ASSERT_OK(pair.channel->finish_writing(in(patience)));
    EXPECT_EQ(pair.odd.receive(1), "");
    ASSERT_EQ(gnutls_bye(pair.odd.session(), GNUTLS_SHUT_WR), 0);
    EXPECT_EQ(*read_once(*pair.channel), "");
    EXPECT_FALSE(pair.channel->ended_without_farewell());
}

/// A peer that does nothing but change keys is stopped.
TEST_P(TlsOddPeerTest, MayNotChangeKeysForEver) {
    OddPair pair(GetParam());
    ASSERT_NE(pair.channel, nullptr);
    for (int i = 0; i < 200; ++i) {
        ASSERT_EQ(gnutls_session_key_update(pair.odd.session(), GNUTLS_KU_PEER), 0);
    }
    EXPECT_CODE(read_once(*pair.channel), ErrorCode::stream_corrupt);
}

TEST(TlsOddPeer, SendsTicketsWhenItLikes) {
    OddPair pair(true, "NORMAL", true);
    ASSERT_NE(pair.channel, nullptr);
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(gnutls_session_ticket_send(pair.odd.session(), 1, 0), 0);
        ASSERT_TRUE(pair.odd.send("data " + std::to_string(i)));
        EXPECT_EQ(*read_exactly(*pair.channel, 6), "data " + std::to_string(i));
    }
}

TEST(TlsOddPeer, ARecordOfPaddingIsNoFarewell) {
    OddPair pair(false);
    ASSERT_NE(pair.channel, nullptr);
    for (int i = 0; i < 10; ++i) {
        ASSERT_EQ(gnutls_record_send2(pair.odd.session(), "", 0, 100, 0), 0);
    }
    ASSERT_TRUE(pair.odd.send("after nothing"));
    EXPECT_EQ(*read_once(*pair.channel), "after nothing");
    EXPECT_FALSE(pair.channel->ended_without_farewell());
}

/// TLS 1.2 has a second handshake in mid-stream. Nobody may come in again as somebody else.
TEST(TlsOddPeer, MayNotShakeHandsAgain) {
    OddPair pair(false, "NORMAL:-VERS-TLS1.3");
    ASSERT_NE(pair.channel, nullptr);
    std::thread again([&] { EXPECT_LT(pair.odd.shake_hands(), 0); });
    const auto got = read_once(*pair.channel);
    EXPECT_CODE(got, ErrorCode::stream_corrupt);
    EXPECT_THAT(got ? "" : got.error().message, HasSubstr("Rehandshake was requested"));
    pair.channel.reset();
    again.join();
}

TEST(TlsOddPeer, MayNotAskForAnotherHandshake) {
    OddPair pair(true, "NORMAL:-VERS-TLS1.3");
    ASSERT_NE(pair.channel, nullptr);
    ASSERT_EQ(gnutls_rehandshake(pair.odd.session()), 0);
    EXPECT_CODE(read_once(*pair.channel), ErrorCode::stream_corrupt);
}

TEST(TlsOddPeer, SendsMoreThanAHandshakeHas) {
    // After a hello that offers TLS 1.3, records that mean nothing.
    for (const char* endless : {"\x14\x03\x03\x00\x01\x01", "\x15\x03\x03\x00\x02\x01\x00"}) {
        const std::string_view record(endless, endless[0] == 0x14 ? 6 : 7);
        SocketPair pair;
        ASSERT_EQ(::fcntl(pair.raw[0], F_SETFL, O_NONBLOCK), 0);
        RawTlsPeer client(GNUTLS_CLIENT | GNUTLS_NONBLOCK, pair.raw[0]);
        EXPECT_EQ(client.shake_hands(), GNUTLS_E_AGAIN);
        // Only now: an answer in the meantime could end the handshake.
        auto serving = std::async(std::launch::async, [&] {
            auto session = shake_hands(*pair.ends[1], server_terms(), tls_clock, in(patience));
            pair.ends[1].reset();
            return session ? Error{ErrorCode::internal, "hands were shaken"} : session.error();
        });
        std::string many;
        for (int i = 0; i < 10'000; ++i) {
            many += record;
        }
        ::send(pair.raw[0], many.data(), many.size(), MSG_NOSIGNAL);
        const Error error = serving.get();
        EXPECT_EQ(error.code, ErrorCode::tls_handshake) << error.text();
    }
}

/// A message of the handshake that says that 16 MiB follow, and some of them.
TEST(TlsOddPeer, AnnouncesAVastMessage) {
    SocketPair pair;
    auto serving = std::async(std::launch::async, [&] {
        auto session = shake_hands(*pair.ends[1], server_terms(), tls_clock, in(patience));
        pair.ends[1].reset();
        return session ? Error{ErrorCode::internal, "hands were shaken"} : session.error();
    });
    std::string vast;
    for (int i = 0; i < 100; ++i) {
        vast += std::string("\x16\x03\x01\x40\x00", 5) + (i == 0 ? "\x01\xff\xff\xff" : "xxxx") +
                std::string(16 * 1024 - 4, 'x');
    }
    // The other side may have closed before it has all.
    (void)write_all(*pair.ends[0], vast);
    const Error error = serving.get();
    EXPECT_EQ(error.code, ErrorCode::tls_handshake) << error.text();
}

/// Bytes that come one by one, each in time, do not make the handshake last: its deadline is one for all.
TEST(TlsOddPeer, AHandshakeInDropsEndsInTime) {
    SocketPair pair;
    std::atomic<bool> over = false;
    std::thread dripping([&] {
        const std::string_view start("\x16\x03\x03\x3f\x00\x02\x00\x3e\xfc\x03\x03", 11);
        EXPECT_EQ(::send(pair.raw[1], start.data(), start.size(), MSG_NOSIGNAL), 11);
        while (!over) {
            ::send(pair.raw[1], "x", 1, MSG_NOSIGNAL);
            std::this_thread::sleep_for(1ms);
        }
    });
    const Instant begin = tls_clock.now();
    const auto session = shake_hands(*pair.ends[0], client_terms(), tls_clock, in(100ms));
    EXPECT_CODE(session, ErrorCode::handshake_timeout);
    EXPECT_LT(tls_clock.now() - begin, patience / 2);
    over = true;
    dripping.join();
}

/// A unix socket's peer can refuse what comes without a word, and stay.
TEST(TlsOddPeer, TakesNothingAndSaysNothing) {
    OddPair pair(true);
    ASSERT_NE(pair.channel, nullptr);
    ASSERT_EQ(::shutdown(pair.sockets.raw[1], SHUT_RD), 0);
    const Instant begin = tls_clock.now();
    EXPECT_EQ(write_until_error(*pair.channel, patience).code, ErrorCode::peer_closed);
    EXPECT_LT(tls_clock.now() - begin, patience / 2);
}

}  // namespace
}  // namespace godwit
