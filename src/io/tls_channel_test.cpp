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

/// In its head, and in what follows that.
TEST(TlsChannelTorn, AnEndInTheMiddleOfARecordIsNoEnd) {
    for (const std::size_t part : {3U, 8U}) {
        TlsPair pair;
        ASSERT_NE(pair.client, nullptr) << pair.client_error.text();
        ASSERT_OK(write_all(*pair.client, "a part"));
        EXPECT_EQ(*read_once(*pair.server), "a part");
        ASSERT_OK(write_all(*pair.client, "another part"));
        std::string record(4096, '\0');
        ASSERT_GT(::recv(pair.sockets.raw[1], record.data(), record.size(), 0), static_cast<ssize_t>(part));
        ASSERT_EQ(::send(pair.sockets.raw[0], record.data(), part, 0), static_cast<ssize_t>(part));
        ASSERT_EQ(::shutdown(pair.sockets.raw[0], SHUT_WR), 0);
        for (int i = 0; i < 2; ++i) {
            EXPECT_CODE(read_once(*pair.server), ErrorCode::peer_closed);
            EXPECT_FALSE(pair.server->ended_without_farewell());
        }
    }
}

/// The reader's error is what the writer is told, and not that GnuTLS does not go on.
TEST_F(TlsChannelTest, AWriterHearsWhatTheReaderFound) {
    const std::string no_record("\x17\x03\x03\x00\x20xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 37);
    ASSERT_EQ(::send(pair_.sockets.raw[0], no_record.data(), no_record.size(), 0), 37);
    EXPECT_CODE(read_once(*pair_.server), ErrorCode::stream_corrupt);
    EXPECT_CODE(write_all(*pair_.server, "more"), ErrorCode::stream_corrupt);
}

TEST_F(TlsChannelTest, AnEndWithoutFarewellStaysOne) {
    cut(SHUT_WR);
    for (int i = 0; i < 2; ++i) {
        EXPECT_CODE(read_once(*pair_.server), ErrorCode::peer_closed);
        EXPECT_TRUE(pair_.server->ended_without_farewell());
    }
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

/// Takes little at a time.
class SluggishChannel : public Channel {
public:
    explicit SluggishChannel(std::unique_ptr<Channel> below, int& writes) : below_(std::move(below)), writes_(writes) {}
    const ChannelTraits& traits() const override { return below_->traits(); }
    Result<std::size_t> write_some(std::span<const ConstBuffer> buffers, Instant deadline) override {
        ++writes_;
        const ConstBuffer little = buffers.front().first(std::min<std::size_t>(buffers.front().size(), 1000));
        return below_->write_some({&little, 1}, deadline);
    }
    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) override {
        return below_->read_some(buffers, deadline);
    }
    Status drain(Instant deadline) override { return below_->drain(deadline); }
    Status finish_writing(Instant deadline) override { return below_->finish_writing(deadline); }
    bool peer_has_ended() const override { return below_->peer_has_ended(); }
    void shutdown() override { below_->shutdown(); }

private:
    const std::unique_ptr<Channel> below_;
    int& writes_;
};

/// A slow peer has the time limit for each bit, and not for all that was encrypted in one go.
TEST(TlsChannelSluggish, TellsOfEachBitThatMoves) {
    SocketPair sockets;
    auto serving = std::async(std::launch::async,
                              [&] { return shake_hands(*sockets.ends[1], server_terms(), tls_clock, in(patience)); });
    auto client_session = shake_hands(*sockets.ends[0], client_terms(), tls_clock, in(patience));
    auto server_session = serving.get();
    ASSERT_OK(client_session);
    ASSERT_OK(server_session);
    int writes = 0;
    TlsChannel client(std::make_unique<SluggishChannel>(std::move(sockets.ends[0]), writes), std::move(*client_session),
                      tls_clock);
    TlsChannel server(std::move(sockets.ends[1]), std::move(*server_session), tls_clock);
    auto reading = std::async(std::launch::async, [&] { return read_to_end(server); });
    const std::string text = pattern(300'000);
    int calls = 0;
    // The caller may also give less than before.
    for (std::size_t begin = 0; begin < text.size(); ++calls) {
        const int before = writes;
        const ConstBuffer rest = bytes_of(std::string_view(text).substr(begin, calls % 3 == 1 ? 700 : text.size()));
        const auto taken = client.write_some({&rest, 1}, in(patience));
        ASSERT_OK(taken);
        ASSERT_GT(*taken, 0U);
        begin += *taken;
        // A few more at the end of a batch, which is longer than what is in it.
        EXPECT_LE(writes - before, 3);
    }
    EXPECT_GT(calls, 250);
    ASSERT_OK(client.finish_writing(in(patience)));
    const auto got = reading.get();
    ASSERT_OK(got);
    EXPECT_TRUE(*got == text);
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
