#include "io/tls_channel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "io/tls_pair_testing.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

std::string pattern(std::size_t bytes) {
    std::string text(bytes, '\0');
    std::uint32_t state = 1;
    for (char& letter : text) {
        state = state * 1664525 + 1013904223;
        letter = static_cast<char>(state >> 24);
    }
    return text;
}

class TlsChannelTest : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_NE(pair_.client, nullptr) << pair_.client_error.text();
        ASSERT_NE(pair_.server, nullptr) << pair_.server_error.text();
    }
    /// Ends the connection below TLS, without a farewell.
    void cut(int how) { ASSERT_EQ(::shutdown(pair_.sockets.raw[0], how), 0); }

    TlsPair pair_;
};

TEST_F(TlsChannelTest, CarriesBothDirectionsAtTheSameTime) {
    const std::string there = pattern(8 << 20);
    const std::string back = pattern(5 << 20);
    const auto talk = [](Channel& channel, const std::string& text) {
        EXPECT_OK(write_all(channel, text));
        EXPECT_OK(channel.finish_writing(in(patience)));
    };
    std::thread client_writes(talk, std::ref(*pair_.client), std::cref(there));
    std::thread server_writes(talk, std::ref(*pair_.server), std::cref(back));
    auto at_client = std::async(std::launch::async, [&] { return read_to_end(*pair_.client); });
    const auto at_server = read_to_end(*pair_.server);
    client_writes.join();
    server_writes.join();
    ASSERT_OK(at_server);
    EXPECT_TRUE(*at_server == there);
    const auto got = at_client.get();
    ASSERT_OK(got);
    EXPECT_TRUE(*got == back);
}

TEST_F(TlsChannelTest, GathersAndScatters) {
    const std::string text = pattern(100'000);
    std::vector<ConstBuffer> parts;
    for (std::size_t begin = 0; begin < text.size(); begin += 257) {
        parts.push_back(bytes_of(std::string_view(text).substr(begin, 257)));
    }
    const auto written = pair_.client->write_some(parts, in(patience));
    ASSERT_OK(written);
    std::string got(*written, '\0');
    std::size_t filled = 0;
    while (filled < got.size()) {
        std::vector<MutableBuffer> places;
        for (std::size_t begin = filled; begin < got.size() && places.size() < max_gather_buffers; begin += 1000) {
            places.push_back(
                std::as_writable_bytes(std::span(got.data() + begin, std::min<std::size_t>(1000, got.size() - begin))));
        }
        const auto count = pair_.server->read_some(places, in(patience));
        ASSERT_OK(count);
        ASSERT_NE(*count, 0U);
        filled += *count;
    }
    EXPECT_EQ(got, text.substr(0, got.size()));
}

TEST_F(TlsChannelTest, NothingIsReadableBelow) {
    ASSERT_OK(write_all(*pair_.client, "the guest's secret"));
    std::string seen(4096, '\0');
    const ssize_t got = ::recv(pair_.sockets.raw[1], seen.data(), seen.size(), MSG_PEEK);
    ASSERT_GT(got, 0);
    EXPECT_EQ(seen.find("secret"), std::string::npos);
}

TEST_F(TlsChannelTest, AnOrderlyEndIsOne) {
    ASSERT_OK(write_all(*pair_.client, "all"));
    ASSERT_OK(pair_.client->finish_writing(in(patience)));
    ASSERT_OK(pair_.client->finish_writing(in(patience)));
    const auto got = read_to_end(*pair_.server);
    ASSERT_OK(got);
    EXPECT_EQ(*got, "all");
    EXPECT_FALSE(pair_.server->ended_without_farewell());
    // The other direction goes on.
    ASSERT_OK(write_all(*pair_.server, "thanks"));
    EXPECT_EQ(*read_once(*pair_.client), "thanks");
}

TEST_F(TlsChannelTest, AnEndWithoutFarewellIsNone) {
    ASSERT_OK(write_all(*pair_.client, "a part"));
    cut(SHUT_WR);
    EXPECT_EQ(*read_once(*pair_.server), "a part");
    EXPECT_FALSE(pair_.server->ended_without_farewell());
    EXPECT_CODE(read_once(*pair_.server), ErrorCode::peer_closed);
    EXPECT_TRUE(pair_.server->ended_without_farewell());
}

TEST_F(TlsChannelTest, AChangedByteIsNoticed) {
    // One bit of a record on its way.
    ASSERT_OK(write_all(*pair_.client, "the guest's memory"));
    std::string record(4096, '\0');
    const ssize_t got = ::recv(pair_.sockets.raw[1], record.data(), record.size(), 0);
    ASSERT_GT(got, 8);
    record.resize(static_cast<std::size_t>(got));
    record[8] = static_cast<char>(record[8] ^ 1);
    ASSERT_EQ(::send(pair_.sockets.raw[0], record.data(), record.size(), 0), got);
    EXPECT_CODE(read_once(*pair_.server), ErrorCode::stream_corrupt);
    EXPECT_CODE(read_once(*pair_.server), ErrorCode::stream_corrupt);
}

TEST_F(TlsChannelTest, DeadlinesPass) {
    EXPECT_CODE(read_once(*pair_.server, 20ms), ErrorCode::idle_timeout);
    // And it goes on afterwards.
    ASSERT_OK(write_all(*pair_.client, "late"));
    EXPECT_EQ(*read_once(*pair_.server), "late");
    EXPECT_EQ(write_until_error(*pair_.client, 50ms).code, ErrorCode::idle_timeout);
}

TEST_F(TlsChannelTest, ShutdownWakesBothDirections) {
    EXPECT_CODE(
        call_and_wake<Result<std::string>>([&] { return read_once(*pair_.server); }, [&] { pair_.server->shutdown(); }),
        ErrorCode::cancelled);
    EXPECT_EQ(call_and_wake<Error>([&] { return write_until_error(*pair_.client, patience); },
                                   [&] { pair_.client->shutdown(); })
                  .code,
              ErrorCode::cancelled);
}

TEST_F(TlsChannelTest, APeerThatIsGoneIsNoticedByTheWriter) {
    pair_.server.reset();
    EXPECT_EQ(write_until_error(*pair_.client, patience).code, ErrorCode::peer_closed);
}

/// The client has ended its handshake by then, and may never read.
TEST(TlsChannelRefused, TheWriterIsToldWhy) {
    TlsPair pair(client_terms("anonymous"));
    ASSERT_NE(pair.client, nullptr) << pair.client_error.text();
    const Error error = write_until_error(*pair.client, patience);
    EXPECT_EQ(error.code, ErrorCode::tls_certificate) << error.text();
}

}  // namespace
}  // namespace godwit
