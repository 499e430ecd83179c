#include "tools/link_probe.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

#include "io/file_descriptor.h"
#include "io/socket_channel.h"
#include "io/test_support.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

const MonotonicClock monotonic_clock;
/// What a sender begins with.
constexpr std::string_view greeting{"godwit bench\0\0\0\1", 16};

/// A receiver on a thread of its own, and a plain socket to it.
class Receiver {
public:
    Receiver() {
        std::array<int, 2> ends{};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
        peer.reset(ends[0]);
        channel_ = std::move(SocketChannel::create(FileDescriptor(ends[1]), "receiver", monotonic_clock).value());
        thread_ = std::jthread([this] { account_ = answer_probe(*channel_, monotonic_clock, memory_); });
    }
    ~Receiver() { channel_->shutdown(); }
    Receiver(const Receiver&) = delete;
    Receiver& operator=(const Receiver&) = delete;

    void say(std::string_view text) const {
        EXPECT_EQ(::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    }
    void end() const { ::shutdown(peer.get(), SHUT_WR); }
    /// After it has ended.
    const Result<LinkAccount>& account() {
        thread_.join();
        return account_;
    }
    const std::vector<std::byte>& memory() const { return memory_; }

    FileDescriptor peer;

private:
    std::vector<std::byte> memory_ = std::vector<std::byte>(4096);
    std::unique_ptr<SocketChannel> channel_;
    Result<LinkAccount> account_;  // the thread's until it has ended
    std::jthread thread_;
};

std::string data_message(std::uint64_t count) {
    std::string message = "D";
    for (int shift = 56; shift >= 0; shift -= 8) {
        message += static_cast<char>(count >> shift & 0xff);
    }
    return message;
}

TEST(LinkProbe, MeasuresAndTheReceiverCountsTheSame) {
    Receiver receiver;
    auto channel = SocketChannel::create(std::move(receiver.peer), "sender", monotonic_clock).value();
    std::vector<std::byte> data(8192, std::byte{7});
    const auto speed = probe_link(*channel, monotonic_clock, data, 1ms);
    ASSERT_TRUE(speed) << speed.error().text();
    EXPECT_GT(speed->bytes_per_s, 0);
    EXPECT_GT(speed->round_trip, Duration::zero());
    EXPECT_LE(speed->least_round_trip, speed->round_trip);
    const auto& account = receiver.account();
    ASSERT_TRUE(account) << account.error().text();
    EXPECT_EQ(account->received, speed->sent);
    EXPECT_EQ(account->round_trips, 200U);
    EXPECT_EQ(receiver.memory(), std::vector<std::byte>(4096, std::byte{7}));
}

TEST(LinkProbe, SendsJustWhatItWasToldTo) {
    Receiver receiver;
    auto channel = SocketChannel::create(std::move(receiver.peer), "sender", monotonic_clock).value();
    const std::vector<std::byte> data(1000);
    ASSERT_TRUE(probe_hello(*channel, monotonic_clock));
    ASSERT_TRUE(probe_bulk(*channel, monotonic_clock, data, ByteCount(12345)));
    channel.reset();
    const auto& account = receiver.account();
    ASSERT_TRUE(account) << account.error().text();
    EXPECT_EQ(account->received, ByteCount(12345));
}

TEST(LinkProbe, ReceiverRefusesWhoSaysSomethingElse) {
    Receiver receiver;
    receiver.say("GET / HTTP/1.1\r\n\r\n");
    EXPECT_EQ(receiver.account().error().code, ErrorCode::stream_corrupt);
}

TEST(LinkProbe, ReceiverRefusesAnotherVersion) {
    Receiver receiver;
    receiver.say({"godwit bench\0\0\0\2", 16});
    EXPECT_EQ(receiver.account().error().code, ErrorCode::stream_corrupt);
}

TEST(LinkProbe, ReceiverRefusesUnknownMessagesAndTooMuchData) {
    for (const std::string& message :
         {std::string(9, 'X'), data_message((std::uint64_t{1} << 40) + 1), "P" + std::string(8, '\1')}) {
        Receiver receiver;
        receiver.say(greeting);
        receiver.say(message);
        EXPECT_EQ(receiver.account().error().code, ErrorCode::stream_corrupt) << message;
    }
}

TEST(LinkProbe, ReceiverNoticesAnEndWithinAMessageOrData) {
    for (const std::string& message : {std::string("D"), data_message(10) + "five."}) {
        Receiver receiver;
        receiver.say(greeting);
        receiver.say(message);
        receiver.end();
        EXPECT_EQ(receiver.account().error().code, ErrorCode::peer_closed) << message;
    }
}

TEST(LinkProbe, ReceiverIsDoneWithAPeerThatOnlyGreets) {
    Receiver receiver;
    receiver.say(greeting);
    receiver.end();
    const auto& account = receiver.account();
    ASSERT_TRUE(account);
    EXPECT_EQ(account->received, ByteCount(0));
}

TEST(LinkProbe, SenderRefusesAPeerThatIsNoReceiver) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    const FileDescriptor peer(ends[0]);
    auto channel = SocketChannel::create(FileDescriptor(ends[1]), "sender", monotonic_clock).value();
    ASSERT_EQ(::send(peer.get(), "220 smtp ready..", 16, MSG_NOSIGNAL), 16);
    const auto speed = probe_link(*channel, monotonic_clock, std::as_bytes(std::span(greeting)), 1ms);
    ASSERT_FALSE(speed);
    EXPECT_EQ(speed.error().code, ErrorCode::stream_corrupt);
}

}  // namespace
}  // namespace godwit
