#include "rdma/hello.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <future>
#include <string>
#include <tuple>
#include <vector>

#include "rdma/control_testing.h"
#include "rdma/fabric.h"

namespace godwit::rdma {
namespace {

using namespace rdma::test;  // NOLINT(google-build-using-namespace)

std::string big_endian(std::uint64_t value, unsigned bytes) {
    std::string text;
    for (unsigned i = bytes; i-- > 0;) {
        text += static_cast<char>(value >> (8 * i) & 0xff);
    }
    return text;
}

/// A hello as its documented bytes.
struct RawHello {
    std::string magic = "GWRD";
    std::uint32_t version = 1;
    std::uint32_t flags = 1;
    std::uint32_t transport = 0;
    std::string boot_id = std::string(16, 'b');
    std::uint64_t pid_namespace = 7;
    std::uint8_t has_device = 0;
    std::uint8_t refusal = 0;
    std::uint32_t rest_bytes = 0;
    std::string rest = {};

    std::string bytes() const {
        return magic + big_endian(version, 4) + big_endian(flags, 4) + big_endian(transport, 4) + boot_id +
               big_endian(pid_namespace, 8) + big_endian(has_device, 1) + big_endian(refusal, 1) + big_endian(0, 2) +
               big_endian(rest_bytes, 4) + rest;
    }
    static RawHello answer(std::string address) {
        RawHello hello;
        hello.transport = 1;
        hello.rest_bytes = static_cast<std::uint32_t>(address.size());
        hello.rest = std::move(address);
        return hello;
    }
};

class HelloTest : public ::testing::Test {
protected:
    HelloTest() {
        std::tie(source_, destination_) = socket_pair();
        host_.boot_id.fill(std::byte{'b'});
        host_.pid_namespace = 7;
    }
    HelloConnection at(const FileDescriptor& socket, Duration time = patience) const {
        return {socket.get(), "rdma:peer:1", *cancel_, in(time), clock_};
    }
    static void say(const FileDescriptor& socket, std::string_view bytes) {
        ASSERT_EQ(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    }
    static std::string hear(const FileDescriptor& socket) {
        std::string text(8192, '\0');
        const ssize_t got = ::recv(socket.get(), text.data(), text.size(), MSG_DONTWAIT);
        text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return text;
    }
    /// What the source makes of an answer.
    Error answer_error(const std::string& bytes, Transport wish = Transport::automatic) {
        say(destination_, bytes);
        EXPECT_EQ(::shutdown(destination_.get(), SHUT_WR), 0);
        const auto answer = say_hello(at(source_), {.wish = wish, .host = host_});
        EXPECT_FALSE(answer);
        std::tie(source_, destination_) = socket_pair();
        return answer ? Error{} : answer.error();
    }

    MonotonicClock clock_;
    std::unique_ptr<CancelEvent> cancel_ = *CancelEvent::create();
    FileDescriptor source_;
    FileDescriptor destination_;
    HostIdentity host_;
};

TEST_F(HelloTest, BothSidesLearnWhatTheyNeed) {
    Result<HelloAnswer> answer;
    auto source = std::async(std::launch::async, [&] {
        answer = say_hello(at(source_), {.can_pin_all = true, .wish = Transport::tcp, .host = host_});
    });
    const auto hello = hear_hello(at(destination_));
    ASSERT_OK(hello);
    EXPECT_TRUE(hello->can_pin_all);
    EXPECT_EQ(hello->wish, Transport::tcp);
    EXPECT_EQ(hello->host.boot_id, host_.boot_id);
    EXPECT_EQ(hello->host.pid_namespace, 7U);
    EXPECT_FALSE(hello->host.has_rdma_device);
    HostIdentity other;
    other.has_rdma_device = true;
    const std::vector<std::byte> address(max_fabric_address_bytes, std::byte{0xaa});
    ASSERT_OK(
        answer_hello(at(destination_),
                     {.can_pin_all = false, .transport = Transport::tcp, .host = other, .fabric_address = address}));
    source.get();
    ASSERT_OK(answer);
    EXPECT_FALSE(answer->can_pin_all);
    EXPECT_EQ(answer->transport, Transport::tcp);
    EXPECT_TRUE(answer->host.has_rdma_device);
    EXPECT_EQ(answer->fabric_address, address);
}

TEST_F(HelloTest, TheBytesAreThoseOfTheDocument) {
    say(destination_, RawHello::answer("address").bytes());
    const auto answer = say_hello(at(source_), {.can_pin_all = true, .wish = Transport::automatic, .host = host_});
    ASSERT_OK(answer);
    EXPECT_EQ(answer->transport, Transport::shared_memory);
    EXPECT_EQ(answer->fabric_address.size(), 7U);
    EXPECT_EQ(hear(destination_), RawHello{}.bytes());
    ASSERT_OK(answer_hello(at(destination_), *answer));
    EXPECT_EQ(hear(source_), RawHello::answer("address").bytes());
}

TEST_F(HelloTest, UnknownFlagsAreCleared) {
    RawHello hello;
    hello.flags = 0xfffffffe;
    say(source_, hello.bytes());
    const auto heard = hear_hello(at(destination_));
    ASSERT_OK(heard);
    EXPECT_FALSE(heard->can_pin_all);
    // A flag that the source did not offer is none in the answer.
    RawHello answer = RawHello::answer("a");
    answer.flags = 0xffffffff;
    say(destination_, answer.bytes());
    const auto answered = say_hello(at(source_), {.can_pin_all = false, .host = host_});
    ASSERT_OK(answered);
    EXPECT_FALSE(answered->can_pin_all);
}

TEST_F(HelloTest, OtherVersionsAreRefusedAndBothSidesSayWhy) {
    for (const std::uint32_t version : {0U, 2U, 0xffffffffU}) {
        RawHello hello;
        hello.version = version;
        say(source_, hello.bytes());
        const auto heard = hear_hello(at(destination_));
        EXPECT_CODE(heard, ErrorCode::stream_version);
        const std::string what = "version " + std::to_string(version) + " of the RDMA protocol, only 1 is known";
        EXPECT_NE(heard.error().message.find(what), std::string::npos) << heard.error().message;

        const Error error = answer_error(hear(source_));
        EXPECT_EQ(error.code, ErrorCode::peer_failed);
        EXPECT_NE(error.message.find(what), std::string::npos) << error.message;

        RawHello answer = RawHello::answer("address");
        answer.version = version;
        EXPECT_EQ(answer_error(answer.bytes()).code, ErrorCode::stream_version);
    }
}

TEST_F(HelloTest, ARefusalOfAnyVersionIsRead) {
    RawHello refusal = RawHello::answer("no \x1b[31mroom");
    refusal.version = 9;
    refusal.refusal = 1;
    const Error error = answer_error(refusal.bytes());
    EXPECT_EQ(error.code, ErrorCode::peer_failed);
    EXPECT_EQ(error.message, "the destination refused: no \\x1b[31mroom (rdma:peer:1)");
    refusal.rest_bytes = max_refusal_bytes + 1;
    EXPECT_EQ(answer_error(refusal.bytes()).code, ErrorCode::stream_corrupt);
}

TEST_F(HelloTest, GarbageFromTheSourceIsRefused) {
    std::vector<RawHello> hellos(4);
    hellos[0].transport = 4;
    hellos[1].rest_bytes = 0xffffffff;
    hellos[2].refusal = 1;
    hellos[3].magic = "GET ";
    for (const RawHello& hello : hellos) {
        say(source_, hello.bytes());
        EXPECT_CODE(hear_hello(at(destination_)), ErrorCode::stream_corrupt);
        hear(source_);
    }
    say(source_, hellos[2].bytes());
    EXPECT_EQ(hear_hello(at(destination_)).error().message, "RDMA's hello: a refusal from the source (rdma:peer:1)");
}

TEST_F(HelloTest, GarbageFromTheDestinationIsRefused) {
    RawHello transport = RawHello::answer("address");
    for (const std::uint32_t value : {0U, 4U, 0xffffffffU}) {
        transport.transport = value;
        EXPECT_EQ(answer_error(transport.bytes()).code, ErrorCode::stream_corrupt) << value;
    }
    EXPECT_EQ(answer_error(RawHello::answer("address").bytes(), Transport::verbs).code, ErrorCode::stream_corrupt);
    EXPECT_EQ(answer_error(RawHello::answer("").bytes()).code, ErrorCode::stream_corrupt);
    RawHello length = RawHello::answer("address");
    for (const std::uint32_t value : {std::uint32_t{max_fabric_address_bytes + 1}, 0xffffffffU}) {
        length.rest_bytes = value;
        EXPECT_EQ(answer_error(length.bytes()).code, ErrorCode::stream_corrupt) << value;
    }
    const Error stream = answer_error("QEVM" + std::string(100, '\0'));
    EXPECT_EQ(stream.code, ErrorCode::stream_corrupt);
    EXPECT_NE(stream.message.find("does not speak RDMA, it begins with 'QEVM'"), std::string::npos) << stream.message;
    EXPECT_NE(stream.hint.find("waits with rdma:"), std::string::npos) << stream.text();
}

TEST_F(HelloTest, AnEndAtAnyByteIsSeen) {
    const std::string whole = RawHello::answer("address").bytes();
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const Error error = answer_error(whole.substr(0, length));
        EXPECT_EQ(error.code, ErrorCode::peer_closed) << length << ": " << error.text();
        EXPECT_NE(error.hint.find("waits with rdma:"), std::string::npos);
    }
    for (std::size_t length = 0; length < hello_bytes; ++length) {
        say(source_, RawHello{}.bytes().substr(0, length));
        source_.reset();
        const auto heard = hear_hello(at(destination_));
        EXPECT_CODE(heard, ErrorCode::peer_closed);
        EXPECT_NE(heard.error().hint.find("migrates to an rdma: address"), std::string::npos) << heard.error().text();
        std::tie(source_, destination_) = socket_pair();
    }
}

TEST_F(HelloTest, ASilentPeerIsNotWaitedForLongerThanAllowed) {
    EXPECT_CODE(say_hello(at(source_, 30ms), {.host = host_}), ErrorCode::handshake_timeout);
    say(destination_, RawHello::answer("address").bytes().substr(0, 50));
    EXPECT_CODE(say_hello(at(source_, 30ms), {.host = host_}), ErrorCode::handshake_timeout);
    const auto [ours, theirs] = socket_pair();
    const auto heard = hear_hello(at(ours, 30ms));
    EXPECT_CODE(heard, ErrorCode::handshake_timeout);
    EXPECT_NE(heard.error().hint.find("migrates to an rdma: address"), std::string::npos) << heard.error().text();
}

TEST_F(HelloTest, CancelEndsTheWait) {
    const auto said = call_and_wake<ErrorCode>(
        [&] {
            const auto answer = say_hello(at(source_), {.host = host_});
            return answer ? ErrorCode::internal : answer.error().code;
        },
        [&] { cancel_->cancel(); });
    EXPECT_EQ(said, ErrorCode::cancelled);
    EXPECT_CODE(hear_hello(at(destination_)), ErrorCode::cancelled);
}

}  // namespace
}  // namespace godwit::rdma
