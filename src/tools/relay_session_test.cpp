#include "tools/relay_session.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "io/test_support.h"
#include "io/thread_waiter.h"
#include "stream/testing.h"
#include "tools/stream_maker_testing.h"

namespace godwit::test {
namespace {

/// The two ends of a connection over tcp.
std::pair<std::unique_ptr<SocketChannel>, std::unique_ptr<SocketChannel>> connect_pair(const Clock& clock) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    const FileDescriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener.get(), 1), 0);
    EXPECT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    FileDescriptor near(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(near.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    FileDescriptor far(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    return {std::move(*SocketChannel::create(std::move(near), "tcp:near", clock)),
            std::move(*SocketChannel::create(std::move(far), "tcp:far", clock))};
}

constexpr std::uint16_t open_return_path = static_cast<std::uint16_t>(format::Command::open_return_path);

std::string text_of(const std::vector<std::byte>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A small machine, with a return path or without one.
std::string whole_stream(bool with_return_path) {
    testing::SavedStreamMaker maker;
    if (with_return_path) {
        maker.command(open_return_path);
    }
    return text_of(maker.blocks({{"ram", 1}})
                       .device("d", 0, {1}, R"("fields":[{"name":"a","type":"uint8","size":1}])")
                       .end()
                       .bytes());
}

/// A file that calls back when it is to become permanent.
class TellingFile : public MemoryChannel {
public:
    std::function<void()> at_end;
    Status finish_writing(Instant) override {
        at_end();
        return {};
    }
};

/// A relay between a source and a destination that the test plays.
class RelaySessionTest : public ::testing::Test {
protected:
    void start(const RelayOptions& options = {}, RelaySession::Files files = {}) {
        auto [source, relay_source] = connect_pair(clock_);
        auto [destination, relay_destination] = connect_pair(clock_);
        source_ = std::move(source);
        destination_ = std::move(destination);
        session_ =
            std::move(*RelaySession::create(RelaySide(std::move(relay_source)), RelaySide(std::move(relay_destination)),
                                            options, files, clock_, waiter_));
        report_ = std::async(std::launch::async, [this] { return session_->run(); });
    }
    RelayReport wait() {
        EXPECT_EQ(report_.wait_for(patience), std::future_status::ready) << "the relay does not end";
        return report_.get();
    }

    MonotonicClock clock_;
    ThreadWaiter waiter_;
    std::unique_ptr<SocketChannel> source_;
    std::unique_ptr<SocketChannel> destination_;
    std::unique_ptr<RelaySession> session_;
    std::future<RelayReport> report_;
};

TEST_F(RelaySessionTest, PassesBytesAndEndsOnInBothDirections) {
    start();
    const std::string text(3'000'000, 'x');
    auto sent = std::async(std::launch::async, [&] {
        const Status written = write_all(*source_, text + "end");
        return written ? source_->finish_writing(never) : written;
    });
    EXPECT_EQ(*read_to_end(*destination_), text + "end");
    ASSERT_OK(sent.get());
    // Only one direction has ended.
    ASSERT_OK(write_all(*destination_, "answer"));
    EXPECT_EQ(*read_once(*source_), "answer");
    ASSERT_OK(destination_->finish_writing(never));
    EXPECT_EQ(*read_to_end(*source_), "");
    const RelayReport report = wait();
    EXPECT_EQ(report.forward_bytes, text.size() + 3);
    EXPECT_EQ(report.backward_bytes, 6U);
    ASSERT_TRUE(report.stream.undecoded);
    EXPECT_EQ(report.stream.undecoded->reason.code, ErrorCode::stream_version);
    ASSERT_TRUE(report.failure) << "of what was not understood nobody knows whether it was complete";
}

TEST_F(RelaySessionTest, AResetIsPassedOnAsOne) {
    start();
    ASSERT_OK(write_all(*source_, "QEVM"));
    EXPECT_EQ(*read_once(*destination_), "QEVM");
    source_->reset_at_close();
    source_.reset();
    EXPECT_CODE(read_once(*destination_), ErrorCode::peer_closed);
    const RelayReport report = wait();
    ASSERT_TRUE(report.failure);
    EXPECT_EQ(report.failure->code, ErrorCode::peer_closed);
    EXPECT_NE(report.failure->message.find("the connection of the source broke after 4 bytes"), std::string::npos)
        << report.failure->message;
}

TEST_F(RelaySessionTest, TheLastWordsOfADestinationThatGoesReachTheSource) {
    start();
    ASSERT_OK(write_all(*source_, "QEVM"));
    EXPECT_EQ(*read_once(*destination_), "QEVM");
    const std::string shut("\0\1\0\4\0\0\0\1", 8);
    ASSERT_OK(write_all(*destination_, shut));
    destination_.reset();
    std::string heard;
    while (heard.size() < shut.size()) {
        const auto part = read_once(*source_);
        ASSERT_OK(part);
        ASSERT_FALSE(part->empty());
        heard += *part;
    }
    EXPECT_EQ(heard, shut);
    EXPECT_EQ(write_until_error(*source_, patience).code, ErrorCode::peer_closed);
    const RelayReport report = wait();
    EXPECT_EQ(report.answers.shut, 1U);
    ASSERT_TRUE(report.failure);
    EXPECT_EQ(report.failure->code, ErrorCode::peer_failed);
}

TEST_F(RelaySessionTest, CutsWhereItIsTold) {
    start({.forward = {.cut_after = 10}});
    ASSERT_OK(write_all(*source_, "0123456789abcdef"));
    const auto read = read_to_end(*destination_);
    EXPECT_CODE(read, ErrorCode::peer_closed);
    EXPECT_EQ(wait().forward_bytes, 10U);
    EXPECT_EQ(write_until_error(*source_, patience).code, ErrorCode::peer_closed);
}

TEST_F(RelaySessionTest, StallsWhereItIsTold) {
    start({.forward = {.stall = RelayMischief::Stall{4, 100ms}}});
    ASSERT_OK(write_all(*source_, "01234567"));
    const Instant begin = clock_.now();
    EXPECT_EQ(*read_once(*destination_), "0123");
    EXPECT_EQ(*read_once(*destination_), "4567");
    EXPECT_GE(clock_.now() - begin, 90ms);
    session_->cancel();
    wait();
}

TEST_F(RelaySessionTest, AStallWithoutAnEndLastsUntilASideGivesUp) {
    start({.backward = {.stall = RelayMischief::Stall{0, std::nullopt}}});
    ASSERT_OK(write_all(*destination_, "unheard"));
    EXPECT_CODE(read_once(*source_, 50ms), ErrorCode::idle_timeout);
    source_.reset();
    const RelayReport report = wait();
    EXPECT_EQ(report.backward_bytes, 0U);
    EXPECT_TRUE(report.failure);
}

TEST_F(RelaySessionTest, CorruptsWhereItIsTold) {
    start({.forward = {.corruption = RelayMischief::Corruption{2, 3}},
           .backward = {.corruption = RelayMischief::Corruption{0, 1}}});
    ASSERT_OK(write_all(*source_, "aaaaaaaa"));
    EXPECT_EQ(*read_once(*destination_),
              "aa\x9e\x9e\x9e"
              "aaa");
    ASSERT_OK(write_all(*destination_, "bb"));
    EXPECT_EQ(*read_once(*source_),
              "\x9d"
              "b");
    session_->cancel();
    wait();
}

TEST_F(RelaySessionTest, KeepsItsBandwidth) {
    constexpr std::uint64_t bytes_per_s = 20 << 20;
    start({.bytes_per_s = bytes_per_s});
    auto sent = std::async(std::launch::async, [&] { return write_until_error(*source_, patience); });
    // The first bytes have had time to gather.
    std::size_t got = read_once(*destination_)->size();
    const Instant begin = clock_.now();
    got = 0;
    while (clock_.now() - begin < 2s) {
        got += read_once(*destination_)->size();
    }
    const double seconds = std::chrono::duration<double>(clock_.now() - begin).count();
    const double rate = static_cast<double>(got) / seconds / static_cast<double>(bytes_per_s);
    RecordProperty("rate", std::to_string(rate));
    EXPECT_LE(rate, 1.05);
    session_->cancel();
    destination_.reset();
    source_->shutdown();
    sent.get();
    wait();
}

TEST_F(RelaySessionTest, AFileThatCannotBeWrittenIsToldAndTheRestGoesOn) {
    testing::FaultyChannel file;
    file.fail_at_byte = 1;
    start({}, {.forward = &file});
    ASSERT_OK(write_all(*source_, "no migration"));
    ASSERT_OK(source_->finish_writing(never));
    EXPECT_EQ(*read_to_end(*destination_), "no migration");
    destination_.reset();
    const RelayReport report = wait();
    ASSERT_TRUE(report.file_error);
    EXPECT_EQ(report.file_error->message, "injected");
}

TEST_F(RelaySessionTest, ACancelWhileTheAccountIsBeingFinishedFindsNothingToBreak) {
    TellingFile file;
    bool called = false;
    file.at_end = [&] {
        session_->cancel();
        called = true;
    };
    start({}, {.forward = &file});
    ASSERT_OK(write_all(*source_, whole_stream(false)));
    ASSERT_OK(source_->finish_writing(never));
    ASSERT_OK(read_to_end(*destination_));
    destination_.reset();
    const RelayReport report = wait();
    EXPECT_TRUE(called);
    EXPECT_FALSE(report.failure) << report.failure->message;
}

TEST_F(RelaySessionTest, ADestinationThatWasToAnswerHasToSayThatItHasTheMachine) {
    const std::string shut_without_status("\0\1\0\0", 4);
    const std::string shut("\0\1\0\4\0\0\0\0", 8);
    const std::string pong("\0\2\0\4\0\0\0\0", 8);
    for (const auto& [answer, good] :
         {std::pair(std::string(), false), {pong, false}, {shut_without_status, false}, {shut, true}}) {
        start();
        ASSERT_OK(write_all(*source_, whole_stream(true)));
        ASSERT_OK(source_->finish_writing(never));
        ASSERT_OK(read_to_end(*destination_));
        ASSERT_OK(write_all(*destination_, answer));
        destination_.reset();
        ASSERT_OK(read_to_end(*source_));
        source_.reset();
        const RelayReport report = wait();
        EXPECT_TRUE(report.stream.complete);
        EXPECT_EQ(!report.failure, good) << answer.size() << (report.failure ? report.failure->message : "");
    }
}

TEST_F(RelaySessionTest, ASourceThatDoesNotReadHoldsNobodyUp) {
    start();
    ASSERT_OK(write_all(*source_, whole_stream(false)));
    ASSERT_OK(source_->finish_writing(never));
    ASSERT_OK(read_to_end(*destination_));
    // More than all that lies between.
    auto sent = std::async(std::launch::async, [&] { return write_until_error(*destination_, patience); });
    const RelayReport report = wait();
    EXPECT_FALSE(report.failure) << report.failure->message;
    sent.get();
}

TEST_F(RelaySessionTest, WhatIsNotUnderstoodIsKeptAllTheSame) {
    MemoryChannel file;
    start({}, {.forward = &file});
    ASSERT_OK(write_all(*source_, "no migration"));
    ASSERT_OK(source_->finish_writing(never));
    EXPECT_EQ(*read_to_end(*destination_), "no migration");
    destination_.reset();
    wait();
    const ConstBuffer expected = bytes_of("no migration");
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), file.bytes().begin(), file.bytes().end()));
}

}  // namespace
}  // namespace godwit::test
