#include "io/listen_opener.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <future>
#include <vector>

#include "io/name_resolution.h"
#include "io/socket_address.h"
#include "io/system_error.h"
#include "io/test_support.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

MonotonicClock monotonic_clock;

/// An opener that waits on another thread.
struct Wait {
    template <typename Kind>
    explicit Wait(const Kind& address, Duration handshake_timeout = patience,
                  ListenProtocol protocol = ListenProtocol::stream) {
        auto made = ListenOpener::create(address, monotonic_clock, log,
                                         {.handshake_timeout = handshake_timeout, .protocol = protocol});
        EXPECT_TRUE(made) << made.error().text();
        opener = std::move(*made);
        uri = opener->address();
        result = std::async(std::launch::async, [this] { return opener->open(in(patience)); });
    }
    /// A plain connection to it.
    FileDescriptor connect() const {
        const auto address = parse_address(uri);
        EXPECT_TRUE(address) << uri;
        const auto* local = std::get_if<UnixAddress>(&*address);
        FileDescriptor socket(::socket(local == nullptr ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const SocketAddress target = local == nullptr
                                         ? resolve_with_system(host_and_port(*address), false, true)->front()
                                         : *SocketAddress::from_path(local->path);
        EXPECT_EQ(::connect(socket.get(), target.get(), target.size_bytes()), 0) << errno_text(errno);
        return socket;
    }
    static TcpAddress host_and_port(const Address& address) {
        const auto* rdma = std::get_if<RdmaAddress>(&address);
        return rdma != nullptr ? TcpAddress{rdma->host, rdma->port} : std::get<TcpAddress>(address);
    }
    bool waits() const { return result.wait_for(20ms) == std::future_status::timeout; }

    RecordingLog log;
    std::unique_ptr<ListenOpener> opener;
    std::string uri;
    std::future<Result<std::unique_ptr<Channel>>> result;
};

void say(const FileDescriptor& socket, std::string_view text) {
    EXPECT_EQ(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

/// The other side closed the connection.
bool is_closed(const FileDescriptor& socket) {
    char byte = 0;
    const ssize_t got = ::recv(socket.get(), &byte, 1, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno == ECONNRESET);
}

TEST(ListenOpener, GivesTheConnectionThatBeginsWithTheMagicAndConsumesNothing) {
    Wait wait(TcpAddress{"127.0.0.1", 0});
    EXPECT_NE(wait.uri, "tcp:127.0.0.1:0");
    const FileDescriptor source = wait.connect();
    say(source, "QEVM and more");
    auto channel = wait.result.get();
    ASSERT_OK(channel);
    EXPECT_TRUE((*channel)->traits().bidirectional);
    EXPECT_EQ((*channel)->traits().description, "tcp:" + SocketAddress::local_of(source.get()).text());
    EXPECT_EQ(read_once(**channel).value_or("?"), "QEVM and more");
    ASSERT_OK(write_all(**channel, "answer"));
    std::array<char, 16> buffer{};
    EXPECT_EQ(::recv(source.get(), buffer.data(), buffer.size(), 0), 6);
    EXPECT_EQ(wait.opener->address(), wait.uri);
}

TEST(ListenOpener, StrangersDoNotEndTheWait) {
    Wait wait(TcpAddress{"127.0.0.1", 0});
    wait.connect();  // closes at once
    const FileDescriptor http = wait.connect();
    say(http, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(eventually([&] { return is_closed(http); }));
    const FileDescriptor almost = wait.connect();
    say(almost, "QEVX");
    EXPECT_TRUE(eventually([&] { return is_closed(almost); }));
    {
        const FileDescriptor reset = wait.connect();
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        ASSERT_EQ(::setsockopt(reset.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    }
    EXPECT_TRUE(eventually([&] { return wait.log.contains("ended without a word"); }));
    EXPECT_TRUE(wait.log.contains("begins with 'GET / HTTP/1.1\\x0d\\x0a'")) << wait.log.text();
    EXPECT_TRUE(wait.log.contains("begins with 'QEVX'"));
    EXPECT_TRUE(wait.waits());
    const FileDescriptor silent = wait.connect();
    const FileDescriptor source = wait.connect();
    say(source, "QEVM");
    auto channel = wait.result.get();
    ASSERT_OK(channel);
    EXPECT_EQ(read_once(**channel).value_or("?"), "QEVM");
    EXPECT_TRUE(is_closed(silent));
}

TEST(ListenOpener, AnRdmaMigrationIsAStrayWhereAStreamIsAwaited) {
    Wait wait(TcpAddress{"127.0.0.1", 0});
    const FileDescriptor other = wait.connect();
    say(other, "GWRD");
    EXPECT_TRUE(eventually([&] { return is_closed(other); }));
    EXPECT_TRUE(wait.log.contains("started with rdma:; for it, wait with rdma: here")) << wait.log.text();
    const FileDescriptor source = wait.connect();
    say(source, "QEVM");
    EXPECT_OK(wait.result.get());
}

TEST(ListenOpener, AStreamIsAStrayWhereRdmaIsAwaited) {
    Wait wait(TcpAddress{"127.0.0.1", 0}, patience, ListenProtocol::rdma);
    EXPECT_TRUE(wait.uri.starts_with("rdma:127.0.0.1:")) << wait.uri;
    const FileDescriptor other = wait.connect();
    say(other, "QEVM");
    EXPECT_TRUE(eventually([&] { return is_closed(other); }));
    EXPECT_TRUE(wait.log.contains("started with tcp:; for it, wait with tcp: here")) << wait.log.text();
    const FileDescriptor source = wait.connect();
    say(source, "GW");
    EXPECT_TRUE(wait.waits());
    say(source, "RD");
    EXPECT_OK(wait.result.get());
}

TEST(ListenOpener, SilentOnesAreClosedAfterTheHandshakeTime) {
    Wait wait(TcpAddress{"127.0.0.1", 0}, 50ms);
    const FileDescriptor silent = wait.connect();
    const FileDescriptor slow = wait.connect();
    say(slow, "QE");
    EXPECT_FALSE(is_closed(silent));
    EXPECT_TRUE(eventually([&] { return is_closed(silent) && is_closed(slow); }));
    EXPECT_TRUE(wait.log.contains("said nothing in time"));
    EXPECT_TRUE(wait.waits());
    wait.opener->cancel();
    EXPECT_CODE(wait.result.get(), ErrorCode::cancelled);
}

TEST(ListenOpener, TheMagicMayArriveInPieces) {
    Wait wait(TcpAddress{"127.0.0.1", 0});
    const FileDescriptor source = wait.connect();
    for (const char* piece : {"Q", "E", "V"}) {
        say(source, piece);
        EXPECT_TRUE(wait.waits());
    }
    say(source, "M");
    EXPECT_OK(wait.result.get());
}

TEST(ListenOpener, ManySilentOnesDoNotKeepTheRealOneOut) {
    Wait wait(TcpAddress{"127.0.0.1", 0});
    std::vector<FileDescriptor> strangers;
    for (int i = 0; i < 40; ++i) {
        strangers.push_back(wait.connect());
    }
    const FileDescriptor source = wait.connect();
    say(source, "QEVM");
    EXPECT_OK(wait.result.get());
    EXPECT_TRUE(wait.log.contains("others came"));
    EXPECT_TRUE(is_closed(strangers.front()));
}

TEST(ListenOpener, TheLogOfAFloodIsLimited) {
    Wait wait(TcpAddress{"127.0.0.1", 0});
    for (int i = 0; i < 200; ++i) {
        const FileDescriptor stranger = wait.connect();
        say(stranger, "x");
        EXPECT_TRUE(eventually([&] { return is_closed(stranger); }));
    }
    EXPECT_TRUE(wait.log.contains("are not logged"));
    const std::string text = wait.log.text();
    EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 65);
    wait.opener->cancel();
    EXPECT_CODE(wait.result.get(), ErrorCode::cancelled);
}

TEST(ListenOpener, SurvivesAShortageOfDescriptors) {
    Wait wait(TcpAddress{"127.0.0.1", 0});
    const FileDescriptor source = wait.connect();
    EXPECT_TRUE(wait.waits());
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const FileDescriptor another(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const rlimit none_left{.rlim_cur = 3, .rlim_max = before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none_left), 0);
    const SocketAddress target = SocketAddress::peer_of(source.get());
    EXPECT_EQ(::connect(another.get(), target.get(), target.size_bytes()), 0);
    say(another, "QEVM");
    EXPECT_TRUE(eventually([&] { return wait.log.contains("Too many open files"); }));
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_OK(wait.result.get());
}

TEST(ListenOpener, KeepsItsDeadlineAndCancel) {
    RecordingLog log;
    auto opener = ListenOpener::create(TcpAddress{"127.0.0.1", 0}, monotonic_clock, log);
    ASSERT_OK(opener);
    EXPECT_CODE((*opener)->open(in(20ms)), ErrorCode::connect_timeout);
    auto second = ListenOpener::create(TcpAddress{"127.0.0.1", 0}, monotonic_clock, log);
    ASSERT_OK(second);
    const auto code =
        call_and_wake<ErrorCode>([&] { return (*second)->open(never).error().code; }, [&] { (*second)->cancel(); });
    EXPECT_EQ(code, ErrorCode::cancelled);
}

TEST(ListenOpener, APortInUseIsAnErrorWithTheAddress) {
    RecordingLog log;
    auto first = ListenOpener::create(TcpAddress{"127.0.0.1", 0}, monotonic_clock, log);
    ASSERT_OK(first);
    const auto address = std::get<TcpAddress>(*parse_address((*first)->address()));
    const auto second = ListenOpener::create(address, monotonic_clock, log);
    EXPECT_CODE(second, ErrorCode::io);
    EXPECT_EQ(second.error().message,
              "Failed to listen on '127.0.0.1:" + std::to_string(address.port) + "': Address already in use");
}

TEST(ListenOpener, ReceivesFromAUnixSourceThatIsGoneAlready) {
    const TemporaryDirectory directory;
    Wait wait(UnixAddress{directory / "socket"});
    EXPECT_EQ(wait.uri, "unix:" + (directory / "socket"));
    {
        const FileDescriptor source = wait.connect();
        say(source, "QEVM and gone");
    }
    auto channel = wait.result.get();
    ASSERT_OK(channel);
    EXPECT_EQ(read_to_end(**channel).value_or("?"), "QEVM and gone");
    EXPECT_FALSE(std::filesystem::exists(directory / "socket"));
}

TEST(ListenOpener, TheFileOfAUnixSocketGoesWithTheWait) {
    const TemporaryDirectory directory;
    RecordingLog log;
    {
        auto opener = ListenOpener::create(UnixAddress{directory / "socket"}, monotonic_clock, log);
        ASSERT_OK(opener);
        EXPECT_TRUE(std::filesystem::is_socket(directory / "socket"));
    }
    EXPECT_EQ(directory.entries(), 0U);
    auto opener = ListenOpener::create(UnixAddress{directory / "socket"}, monotonic_clock, log);
    ASSERT_OK(opener);
    // What somebody else has put there stays.
    std::filesystem::remove(directory / "socket");
    std::ofstream(directory / "socket") << "other";
    opener->reset();
    EXPECT_TRUE(std::filesystem::is_regular_file(directory / "socket"));
}

TEST(ListenOpener, ReplacesTheFileOfADeadListenerOnly) {
    const TemporaryDirectory directory;
    RecordingLog log;
    const UnixAddress address{directory / "socket"};
    {
        // It dies without removing its file.
        const FileDescriptor dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const auto target = SocketAddress::from_path(address.path);
        ASSERT_EQ(::bind(dead.get(), target->get(), target->size_bytes()), 0);
        ASSERT_EQ(::listen(dead.get(), 1), 0);
    }
    auto opener = ListenOpener::create(address, monotonic_clock, log);
    ASSERT_OK(opener);
    const auto second = ListenOpener::create(address, monotonic_clock, log);
    EXPECT_CODE(second, ErrorCode::io);
    EXPECT_EQ(second.error().message, "Failed to listen on '" + address.path + "': Address already in use");
    EXPECT_TRUE(std::filesystem::is_socket(address.path));

    std::ofstream(directory / "file") << "data";
    EXPECT_CODE(ListenOpener::create(UnixAddress{directory / "file"}, monotonic_clock, log), ErrorCode::io);
    EXPECT_TRUE(std::filesystem::is_regular_file(directory / "file"));
    EXPECT_CODE(ListenOpener::create(UnixAddress{"/nonexistent/socket"}, monotonic_clock, log), ErrorCode::io);
}

}  // namespace
}  // namespace godwit
