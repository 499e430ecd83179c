#include "io/connect_opener.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <vector>

#include "io/listening_socket.h"
#include "io/test_support.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

const MonotonicClock monotonic_clock;

Result<std::unique_ptr<Channel>> connect_to(const std::string& uri, Duration time = patience) {
    const auto address = parse_address(uri);
    EXPECT_TRUE(address) << uri;
    auto opener = std::holds_alternative<TcpAddress>(*address)
                      ? ConnectOpener::create(std::get<TcpAddress>(*address), monotonic_clock)
                      : ConnectOpener::create(std::get<UnixAddress>(*address), monotonic_clock);
    EXPECT_TRUE(opener) << opener.error().text();
    return (*opener)->open(in(time));
}

/// What a listener got from the first connection, up to its end.
std::string received_at(const ListeningSocket& listener) {
    FileDescriptor connection;
    EXPECT_TRUE(eventually([&] {
        connection.reset(::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
        return connection.valid();
    }));
    std::string text;
    std::array<char, 100> buffer{};
    for (ssize_t got = 0; (got = ::recv(connection.get(), buffer.data(), buffer.size(), 0)) > 0;) {
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return text;
}

void expect_connection(const std::string& uri, const ListeningSocket& listener) {
    auto channel = connect_to(uri);
    ASSERT_OK(channel);
    EXPECT_TRUE((*channel)->traits().bidirectional);
    EXPECT_EQ((*channel)->traits().description, uri);
    ASSERT_OK(write_all(**channel, "QEVM over " + uri));
    ASSERT_OK((*channel)->finish_writing(in(patience)));
    EXPECT_EQ(received_at(listener), "QEVM over " + uri);
}

ListeningSocket listen_on(const TcpAddress& address) {
    auto listener = ListeningSocket::listen(address, monotonic_clock);
    EXPECT_TRUE(listener) << listener.error().text();
    return std::move(*listener);
}

std::string port_of(const ListeningSocket& listener) {
    return listener.uri().substr(listener.uri().rfind(':') + 1);
}

SocketAddress ipv4(const char* host, std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    EXPECT_EQ(::inet_pton(AF_INET, host, &address.sin_addr), 1);
    return {reinterpret_cast<const sockaddr*>(&address), sizeof(address)};
}

/// A port at which nobody listens.
std::uint16_t closed_port() {
    return static_cast<std::uint16_t>(std::stoi(port_of(listen_on({"127.0.0.1", 0}))));
}

TEST(ConnectOpener, ConnectsOverIpv4Ipv6NamesAndUnix) {
    {
        const auto listener = listen_on({"127.0.0.1", 0});
        EXPECT_TRUE(listener.uri().starts_with("tcp:127.0.0.1:")) << listener.uri();
        expect_connection(listener.uri(), listener);
        expect_connection("tcp::" + port_of(listener), listener);
    }
    {
        const auto listener = listen_on({"localhost", 0});
        expect_connection("tcp:localhost:" + port_of(listener), listener);
    }
    {
        const auto listener = listen_on({"", 0});
        expect_connection("tcp:127.0.0.1:" + port_of(listener), listener);
    }
    const TemporaryDirectory directory;
    const auto listener = ListeningSocket::listen(UnixAddress{directory / "socket"});
    ASSERT_OK(listener);
    expect_connection(listener->uri(), *listener);
}

TEST(ConnectOpener, ConnectsOverIpv6) {
    const auto listener = ListeningSocket::listen(TcpAddress{"::1", 0}, monotonic_clock);
    if (!listener) {
        GTEST_SKIP() << "no IPv6 here: " << listener.error().text();
    }
    EXPECT_TRUE(listener->uri().starts_with("tcp:[::1]:")) << listener->uri();
    expect_connection(listener->uri(), *listener);
}

TEST(ConnectOpener, SaysWhoRefused) {
    const std::string port = std::to_string(closed_port());
    const auto tcp = connect_to("tcp:127.0.0.1:" + port);
    EXPECT_CODE(tcp, ErrorCode::connect);
    EXPECT_EQ(tcp.error().message, "Failed to connect to '127.0.0.1:" + port + "': Connection refused");

    const TemporaryDirectory directory;
    const auto missing = connect_to("unix:" + (directory / "socket"));
    EXPECT_CODE(missing, ErrorCode::connect);
    EXPECT_EQ(missing.error().message,
              "Failed to connect to '" + (directory / "socket") + "': No such file or directory");

    // Somebody who had listened, and died, leaves the file.
    const FileDescriptor dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = SocketAddress::from_path(directory / "socket");
    ASSERT_OK(address);
    ASSERT_EQ(::bind(dead.get(), address->get(), address->size_bytes()), 0);
    const auto refused = connect_to("unix:" + (directory / "socket"));
    EXPECT_CODE(refused, ErrorCode::connect);
    EXPECT_NE(refused.error().message.find("Connection refused"), std::string::npos);
}

TEST(ConnectOpener, RefusesAddressesThatCannotBeConnectedTo) {
    EXPECT_CODE(ConnectOpener::create(TcpAddress{"127.0.0.1", 0}, monotonic_clock), ErrorCode::invalid_argument);
    EXPECT_CODE(ConnectOpener::create(UnixAddress{std::string(200, 'p')}, monotonic_clock),
                ErrorCode::invalid_argument);
}

TEST(ConnectOpener, AnUnknownNameIsAnError) {
    const auto channel = connect_to("tcp:no-such-host.invalid:4444");
    ASSERT_FALSE(channel);
    EXPECT_TRUE(channel.error().code == ErrorCode::connect || channel.error().code == ErrorCode::connect_timeout)
        << channel.error().text();
    EXPECT_NE(channel.error().message.find("no-such-host.invalid"), std::string::npos);
}

/// A full backlog: the system lets further attempts wait, as an address that does not answer does.
struct DeafListener {
    DeafListener() : listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        SocketAddress any = ipv4("127.0.0.1", 0);
        EXPECT_EQ(::bind(listener.get(), any.get(), any.size_bytes()), 0);
        EXPECT_EQ(::listen(listener.get(), 0), 0);
        address = SocketAddress::local_of(listener.get());
        for (int i = 0; i < 8; ++i) {
            fillers.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            ::connect(fillers.back().get(), address.get(), address.size_bytes());
        }
    }
    FileDescriptor listener;
    SocketAddress address;
    std::vector<FileDescriptor> fillers;
};

TEST(ConnectOpener, TriesEveryAddressWithinTheDeadline) {
    const auto listener = listen_on({"127.0.0.1", 0});
    const auto port = static_cast<std::uint16_t>(std::stoi(port_of(listener)));
    const DeafListener deaf;
    const Resolver resolver = [&](const TcpAddress&, bool passive, bool numeric) -> Result<std::vector<SocketAddress>> {
        EXPECT_FALSE(passive);
        if (numeric) {
            return fail(ErrorCode::not_found, "a name");
        }
        return std::vector{ipv4("127.0.0.1", closed_port()), deaf.address, ipv4("127.0.0.1", port)};
    };
    auto opener = ConnectOpener::create(TcpAddress{"many", port}, monotonic_clock, resolver);
    ASSERT_OK(opener);
    auto channel = (*opener)->open(in(500ms));
    ASSERT_OK(channel);
    ASSERT_OK(write_all(**channel, "hello"));
    channel->reset();
    EXPECT_EQ(received_at(listener), "hello");
}

TEST(ConnectOpener, GivesUpAtTheDeadlineAndOnCancel) {
    const DeafListener deaf;
    const TcpAddress address{"127.0.0.1", deaf.address.port()};
    {
        auto opener = ConnectOpener::create(address, monotonic_clock);
        ASSERT_OK(opener);
        const auto channel = (*opener)->open(in(30ms));
        EXPECT_CODE(channel, ErrorCode::connect_timeout);
        EXPECT_NE(channel.error().message.find("Failed to connect to '127.0.0.1:"), std::string::npos);
    }
    auto opener = ConnectOpener::create(address, monotonic_clock);
    ASSERT_OK(opener);
    const auto code =
        call_and_wake<ErrorCode>([&] { return (*opener)->open(never).error().code; }, [&] { (*opener)->cancel(); });
    EXPECT_EQ(code, ErrorCode::cancelled);
}

TEST(ConnectOpener, ACancelBeforeCounts) {
    const auto listener = listen_on({"127.0.0.1", 0});
    const auto address = std::get<TcpAddress>(*parse_address(listener.uri()));
    auto opener = ConnectOpener::create(address, monotonic_clock);
    ASSERT_OK(opener);
    (*opener)->cancel();
    (*opener)->cancel();
    EXPECT_CODE((*opener)->open(never), ErrorCode::cancelled);
}

TEST(ConnectOpener, WaitsForAUnixSocketWithAFullQueue) {
    const TemporaryDirectory directory;
    const FileDescriptor listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = SocketAddress::from_path(directory / "socket");
    ASSERT_OK(address);
    ASSERT_EQ(::bind(listener.get(), address->get(), address->size_bytes()), 0);
    ASSERT_EQ(::listen(listener.get(), 0), 0);
    const std::string uri = "unix:" + (directory / "socket");
    const auto first = connect_to(uri);
    ASSERT_OK(first);
    EXPECT_CODE(connect_to(uri, 30ms), ErrorCode::connect_timeout);
    std::future<bool> second = std::async(std::launch::async, [&] { return connect_to(uri).has_value(); });
    EXPECT_EQ(second.wait_for(20ms), std::future_status::timeout);
    const FileDescriptor accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_TRUE(second.get());
}

/// A name service that answers only when it is told to. Outlives every lookup.
struct SlowResolver {
    Resolver resolver() {
        return [state = state](const TcpAddress&, bool, bool numeric) -> Result<std::vector<SocketAddress>> {
            if (numeric) {
                return fail(ErrorCode::not_found, "a name");
            }
            state->started = true;
            state->answer.get_future().wait();
            return fail(ErrorCode::connect, "too late");
        };
    }
    struct State {
        std::atomic<bool> started{false};
        std::promise<void> answer;
    };
    std::shared_ptr<State> state = std::make_shared<State>();
};

TEST(ConnectOpener, ASlowNameServiceDelaysNeitherDeadlineNorCancel) {
    SlowResolver slow;
    {
        auto opener = ConnectOpener::create(TcpAddress{"slow.example", 1}, monotonic_clock, slow.resolver());
        ASSERT_OK(opener);
        const auto channel = (*opener)->open(in(30ms));
        EXPECT_CODE(channel, ErrorCode::connect_timeout);
        EXPECT_NE(channel.error().message.find("slow.example"), std::string::npos);
    }
    SlowResolver slower;
    {
        auto opener = ConnectOpener::create(TcpAddress{"slow.example", 1}, monotonic_clock, slower.resolver());
        ASSERT_OK(opener);
        const auto code =
            call_and_wake<ErrorCode>([&] { return (*opener)->open(never).error().code; }, [&] { (*opener)->cancel(); });
        EXPECT_EQ(code, ErrorCode::cancelled);
    }
    // The lookups end on their own, after everything that had asked is gone.
    EXPECT_TRUE(slow.state->started && slower.state->started);
    slow.state->answer.set_value();
    slower.state->answer.set_value();
    EXPECT_TRUE(eventually([&] { return slow.state.use_count() == 1 && slower.state.use_count() == 1; }));
}

}  // namespace
}  // namespace godwit
