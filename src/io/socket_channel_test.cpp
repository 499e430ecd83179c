#include "io/socket_channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <thread>
#include <vector>

#include "io/socket_address.h"
#include "io/test_support.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

const MonotonicClock monotonic_clock;

enum class Kind { tcp, unix_socket };

/// A channel and the plain socket at its other end.
struct Connection {
    explicit Connection(Kind kind, bool non_blocking = false) {
        std::array<int, 2> ends{};
        if (kind == Kind::unix_socket) {
            EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
        } else {
            ends = tcp_pair();
        }
        if (non_blocking) {
            EXPECT_EQ(::fcntl(ends[0], F_SETFL, O_RDWR | O_NONBLOCK), 0);
        }
        fd = ends[0];
        peer.reset(ends[1]);
        auto made = SocketChannel::create(FileDescriptor(ends[0]), "test", monotonic_clock);
        EXPECT_TRUE(made) << made.error().text();
        channel = std::move(*made);
    }
    static std::array<int, 2> tcp_pair() {
        const FileDescriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
        EXPECT_EQ(::listen(listener.get(), 1), 0);
        const SocketAddress local = SocketAddress::local_of(listener.get());
        const int first = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(::connect(first, local.get(), local.size_bytes()), 0);
        return {first, ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    }
    void say(std::string_view text) const {
        EXPECT_EQ(::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    }
    /// The peer goes without reading what it got.
    void reset() {
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        peer.reset();
    }
    int fd = -1;
    FileDescriptor peer;
    std::unique_ptr<SocketChannel> channel;
};

class SocketChannelTest : public ::testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(All, SocketChannelTest, ::testing::Values(Kind::tcp, Kind::unix_socket),
                         [](const auto& test) { return test.param == Kind::tcp ? "tcp" : "unix"; });

TEST_P(SocketChannelTest, CarriesDataBothWaysInEitherBlockingMode) {
    for (const bool non_blocking : {false, true}) {
        Connection connection(GetParam(), non_blocking);
        const int flags = ::fcntl(connection.fd, F_GETFL);
        EXPECT_TRUE(connection.channel->traits().bidirectional);
        ASSERT_OK(write_all(*connection.channel, "hello"));
        std::array<char, 16> buffer{};
        EXPECT_EQ(::recv(connection.peer.get(), buffer.data(), buffer.size(), 0), 5);
        connection.say("answer");
        EXPECT_EQ(read_once(*connection.channel).value_or("?"), "answer");
        EXPECT_EQ(::fcntl(connection.fd, F_GETFL), flags);
    }
}

/// What a position of the long stream holds, so that a lost, doubled or moved byte shows.
std::uint8_t pattern(std::size_t position) {
    return static_cast<std::uint8_t>((position * 2654435761U) >> 13);
}

TEST_P(SocketChannelTest, KeepsLargeGatheredTransfersInOrder) {
    Connection connection(GetParam());
    const auto receiving = SocketChannel::create(std::move(connection.peer), "receiver", monotonic_clock);
    ASSERT_OK(receiving);
    constexpr std::size_t total = std::size_t{48} << 20;
    std::thread sender([&] {
        // Headers of 8 bytes and pages of 4 KiB, as the saver makes them; an empty buffer between them does no harm.
        constexpr std::size_t unit = 8 + 4096;
        std::vector<std::uint8_t> data(unit * 256);
        for (std::size_t position = 0; position < total;) {
            const std::size_t size = std::min(data.size(), total - position);
            for (std::size_t i = 0; i < size; ++i) {
                data[i] = pattern(position + i);
            }
            for (std::size_t done = 0; done < size;) {
                std::vector<ConstBuffer> buffers;
                for (std::size_t at = done; at < size;) {
                    const std::size_t part = std::min(at % unit < 8 ? 8 - at % unit : unit - at % unit, size - at);
                    buffers.push_back(std::as_bytes(std::span(data.data() + at, part)));
                    at += part;
                }
                buffers.insert(buffers.begin() + 1, ConstBuffer());
                const auto written = connection.channel->write_some(buffers, in(patience));
                ASSERT_OK(written);
                ASSERT_GT(*written, 0U);
                done += *written;
            }
            position += size;
        }
        EXPECT_OK(connection.channel->finish_writing(in(patience)));
    });
    std::size_t position = 0;
    std::size_t wrong = 0;
    std::vector<std::uint8_t> space(1 << 20);
    for (std::size_t round = 0;; ++round) {
        // Uneven scatter lists.
        std::vector<MutableBuffer> buffers;
        std::size_t at = 0;
        for (std::size_t i = 0; i < 1 + round % 300 && at < space.size(); ++i) {
            const std::size_t part = std::min<std::size_t>(1 + (i * 977 + round) % 8192, space.size() - at);
            buffers.push_back(std::as_writable_bytes(std::span(space.data() + at, part)));
            at += part;
        }
        const auto got = (*receiving)->read_some(buffers, in(patience));
        ASSERT_OK(got);
        if (*got == 0) {
            break;
        }
        for (std::size_t i = 0; i < *got; ++i) {
            wrong += space[i] == pattern(position + i) ? 0U : 1U;
        }
        position += *got;
    }
    sender.join();
    EXPECT_EQ(position, total);
    EXPECT_EQ(wrong, 0U);
}

TEST_P(SocketChannelTest, WritesMoreThanFitsOnlyInPart) {
    Connection connection(GetParam());
    const std::string block(std::size_t{64} << 20, 'x');
    const ConstBuffer buffer = bytes_of(block);
    const auto written = connection.channel->write_some({&buffer, 1}, in(patience));
    ASSERT_OK(written);
    EXPECT_GT(*written, 0U);
    EXPECT_LT(*written, block.size());
}

TEST_P(SocketChannelTest, KeepsDeadlines) {
    Connection connection(GetParam());
    const Instant start = in(0ms);
    EXPECT_CODE(read_once(*connection.channel, 20ms), ErrorCode::idle_timeout);
    EXPECT_GE(in(0ms) - start, 20ms);
    const Error error = write_until_error(*connection.channel, 20ms);
    EXPECT_EQ(error.code, ErrorCode::idle_timeout) << error.text();
    EXPECT_NE(error.message.find("took no data"), std::string::npos);
    EXPECT_CODE(connection.channel->drain(in(20ms)), ErrorCode::idle_timeout);
    EXPECT_CODE(connection.channel->drain(in(-1s)), ErrorCode::idle_timeout);
    // A deadline that has passed is none for data that are there.
    connection.say("x");
    ASSERT_TRUE(eventually([&] { return read_once(*connection.channel, -1s).has_value(); }));
}

TEST_P(SocketChannelTest, ShutdownWakesARead) {
    Connection connection(GetParam());
    const auto result = call_and_wake<Result<std::string>>([&] { return read_once(*connection.channel); },
                                                           [&] { connection.channel->shutdown(); });
    EXPECT_CODE(result, ErrorCode::cancelled);
}

TEST_P(SocketChannelTest, ShutdownWakesAWriteAndEverythingAfterFails) {
    Connection connection(GetParam());
    connection.say("unread");
    const Error error = call_and_wake<Error>([&] { return write_until_error(*connection.channel, patience); },
                                             [&] { connection.channel->shutdown(); });
    EXPECT_EQ(error.code, ErrorCode::cancelled);
    connection.channel->shutdown();
    EXPECT_CODE(write_all(*connection.channel, "x"), ErrorCode::cancelled);
    EXPECT_CODE(read_once(*connection.channel), ErrorCode::cancelled);
    EXPECT_CODE(connection.channel->drain(never), ErrorCode::cancelled);
    EXPECT_CODE(connection.channel->finish_writing(never), ErrorCode::cancelled);
}

TEST_P(SocketChannelTest, ShutdownWakesADrain) {
    Connection connection(GetParam());
    write_until_error(*connection.channel, 5ms);
    const auto result = call_and_wake<Status>([&] { return connection.channel->drain(never); },
                                              [&] { connection.channel->shutdown(); });
    EXPECT_CODE(result, ErrorCode::cancelled);
}

TEST_P(SocketChannelTest, DrainReturnsOnceThePeerHasEverything) {
    Connection connection(GetParam());
    EXPECT_OK(connection.channel->drain(in(-1s)));
    ASSERT_OK(write_all(*connection.channel, std::string(100'000, 'x')));
    std::thread reader([&] {
        std::vector<char> space(100'000);
        EXPECT_EQ(::recv(connection.peer.get(), space.data(), space.size(), MSG_WAITALL), 100'000);
    });
    EXPECT_OK(connection.channel->drain(in(patience)));
    reader.join();
    EXPECT_OK(connection.channel->finish_writing(in(patience)));
    EXPECT_OK(connection.channel->drain(in(patience)));
}

TEST_P(SocketChannelTest, DrainFailsWhenThePeerGoesWithoutTakingEverything) {
    Connection connection(GetParam());
    write_until_error(*connection.channel, 5ms);
    const auto result =
        call_and_wake<Status>([&] { return connection.channel->drain(in(patience)); }, [&] { connection.reset(); });
    EXPECT_CODE(result, ErrorCode::peer_closed);
}

TEST_P(SocketChannelTest, AnOrderlyEndIsZeroAndTheOtherDirectionGoesOn) {
    Connection connection(GetParam());
    connection.say("last words");
    EXPECT_EQ(::shutdown(connection.peer.get(), SHUT_WR), 0);
    EXPECT_EQ(read_to_end(*connection.channel).value_or("?"), "last words");
    EXPECT_EQ(read_once(*connection.channel).value_or("?"), "");
    ASSERT_OK(write_all(*connection.channel, "still here"));
    EXPECT_OK(connection.channel->finish_writing(in(patience)));
    EXPECT_OK(connection.channel->finish_writing(in(patience)));
    std::array<char, 32> buffer{};
    EXPECT_EQ(::recv(connection.peer.get(), buffer.data(), 10, MSG_WAITALL), 10);
    EXPECT_EQ(::recv(connection.peer.get(), buffer.data(), buffer.size(), 0), 0);
}

TEST_P(SocketChannelTest, AResetIsAnErrorAndWhatCameBeforeItIsRead) {
    Connection connection(GetParam());
    connection.say("last words");
    ASSERT_OK(write_all(*connection.channel, "never read"));
    connection.reset();
    EXPECT_EQ(read_once(*connection.channel).value_or("?"), "last words");
    EXPECT_CODE(read_once(*connection.channel), ErrorCode::peer_closed);
    EXPECT_CODE(read_once(*connection.channel), ErrorCode::peer_closed);
}

TEST_P(SocketChannelTest, AResetIsSeenByTheReaderEvenIfTheWriterHeardOfItFirst) {
    for (int round = 0; round < 50; ++round) {
        Connection connection(GetParam());
        ASSERT_OK(write_all(*connection.channel, "never read"));
        std::thread writer([&] {
            const Error error = write_until_error(*connection.channel, patience);
            EXPECT_EQ(error.code, ErrorCode::peer_closed) << error.text();
            EXPECT_NE(error.message.find("the peer closed the connection"), std::string::npos);
            EXPECT_FALSE(error.hint.empty());
        });
        if (round % 2 == 0) {
            connection.reset();
            writer.join();
            EXPECT_CODE(read_once(*connection.channel), ErrorCode::peer_closed);
        } else {
            Result<std::string> read = "";
            std::thread reader([&] { read = read_once(*connection.channel); });
            connection.reset();
            reader.join();
            writer.join();
            EXPECT_CODE(read, ErrorCode::peer_closed);
        }
    }
}

TEST_P(SocketChannelTest, WritingToAPeerThatIsGoneFailsWithoutASignal) {
    Connection connection(GetParam());
    connection.peer.reset();
    const Error error = write_until_error(*connection.channel, patience);
    EXPECT_EQ(error.code, ErrorCode::peer_closed) << error.text();
}

TEST(SocketChannel, SetsTheOptionsOfATcpConnection) {
    Connection connection(Kind::tcp);
    const auto option = [&](int level, int name) {
        int value = -1;
        socklen_t size = sizeof(value);
        EXPECT_EQ(::getsockopt(connection.fd, level, name, &value, &size), 0);
        return value;
    };
    EXPECT_EQ(option(IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE), 10);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPINTVL), 3);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPCNT), 5);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 30'000);
}

TEST(SocketChannel, RefusesWhatIsNoConnectedStream) {
    const auto create = [](int fd) { return SocketChannel::create(FileDescriptor(fd), "fd:x", monotonic_clock); };
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    EXPECT_CODE(create(ends[0]), ErrorCode::unsupported);
    EXPECT_CODE(create(ends[1]), ErrorCode::unsupported);
    EXPECT_CODE(create(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), ErrorCode::unsupported);
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::listen(listener, 1), 0);
    EXPECT_CODE(create(listener), ErrorCode::unsupported);
    EXPECT_CODE(create(::open("/dev/null", O_RDWR | O_CLOEXEC)), ErrorCode::unsupported);
}

}  // namespace
}  // namespace godwit
