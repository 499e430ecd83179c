#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "rdma/control_testing.h"
#include "rdma/socket_control_connection.h"

namespace godwit::rdma {
namespace {

using namespace rdma::test;  // NOLINT(google-build-using-namespace)

/// Two connections that talk to each other.
class ControlConnectionTest : public ::testing::Test {
protected:
    void connect(ControlTimes times = {}, bool over_tcp = false) {
        auto [left, right] = over_tcp ? tcp_pair() : socket_pair();
        left_ = *SocketControlConnection::create(std::move(left), "left", clock_, times);
        right_ = *SocketControlConnection::create(std::move(right), "right", clock_, times);
    }
    static std::string receive_text(ControlConnection& connection) {
        const auto message = connection.receive(in(patience));
        if (!message || *message == nullptr) {
            return message ? "nothing" : message.error().text();
        }
        std::string text = text_of(**message);
        EXPECT_OK(connection.done());
        return text;
    }

    MonotonicClock clock_;
    std::unique_ptr<ControlConnection> left_;
    std::unique_ptr<ControlConnection> right_;
};

TEST_F(ControlConnectionTest, KeepsTheOrderOfMessages) {
    connect();
    auto sent = std::async(std::launch::async, [&] {
        for (int i = 0; i < 500; ++i) {
            if (Status status = left_->send(text_message(MessageType::stream, std::to_string(i)), in(patience));
                !status) {
                return status;
            }
        }
        return left_->wait_used(in(patience));
    });
    for (int i = 0; i < 500; ++i) {
        ASSERT_EQ(receive_text(*right_), std::to_string(i));
    }
    EXPECT_OK(sent.get());
}

TEST_F(ControlConnectionTest, SendsTheNextMessageOnlyWhenTheLastIsUsedUp) {
    connect();
    ASSERT_OK(left_->send(text_message(MessageType::stream, "one"), in(patience)));
    EXPECT_CODE(left_->send(text_message(MessageType::stream, "two"), in(30ms)), ErrorCode::idle_timeout);
    EXPECT_CODE(left_->wait_used(in(30ms)), ErrorCode::idle_timeout);
    EXPECT_OK(left_->status());
    EXPECT_EQ(receive_text(*right_), "one");
    EXPECT_OK(left_->wait_used(in(patience)));
    ASSERT_OK(left_->send(text_message(MessageType::stream, "three"), in(patience)));
    EXPECT_EQ(receive_text(*right_), "three");
}

TEST_F(ControlConnectionTest, AMessageStaysUntilItIsDone) {
    connect();
    ASSERT_OK(left_->send(text_message(MessageType::stream, "one"), in(patience)));
    const auto first = right_->receive(in(patience));
    ASSERT_OK(first);
    const auto again = right_->receive(in(patience));
    ASSERT_OK(again);
    EXPECT_EQ(*first, *again);
    EXPECT_OK(right_->done());
    EXPECT_CODE(right_->receive(in(10ms)), ErrorCode::idle_timeout);
}

TEST_F(ControlConnectionTest, SendsAsMuchOfAStreamAsFitsIntoOneMessage) {
    connect();
    const std::string piece(300 * 1024, 'a');
    const std::array<ConstBuffer, 3> pieces{bytes_of(piece), ConstBuffer(), bytes_of(piece)};
    auto received = std::async(std::launch::async, [&] { return receive_text(*right_).size(); });
    const auto sent = left_->send_stream(pieces, in(patience));
    ASSERT_OK(sent);
    EXPECT_EQ(*sent, max_payload_bytes);
    EXPECT_EQ(received.get(), max_payload_bytes);

    std::vector<ConstBuffer> many(max_gather_buffers, bytes_of("x"));
    const auto sent_many = left_->send_stream(many, in(patience));
    ASSERT_OK(sent_many);
    EXPECT_EQ(*sent_many, max_gather_buffers - 1);
    EXPECT_EQ(receive_text(*right_), std::string(max_gather_buffers - 1, 'x'));
}

TEST_F(ControlConnectionTest, AnswersComeBesideTheMessages) {
    connect();
    ASSERT_OK(left_->send(text_message(MessageType::ram_blocks_request, "where?"), in(patience)));
    EXPECT_EQ(receive_text(*right_), "where?");
    ASSERT_OK(right_->send(text_message(MessageType::ram_blocks_result, "there"), in(patience)));
    ASSERT_OK(right_->send(text_message(MessageType::stream, "by the way"), in(patience)));
    EXPECT_EQ(receive_text(*left_), "by the way");
    const auto answer = left_->receive_response(in(patience));
    ASSERT_OK(answer);
    EXPECT_EQ(text_of(**answer), "there");
    EXPECT_CODE(left_->receive_response(in(10ms)), ErrorCode::idle_timeout);
}

TEST_F(ControlConnectionTest, AnotherDescriptorEndsAWait) {
    connect();
    auto [ours, theirs] = socket_pair();
    const std::function<Result<Message*>()> receive = [&, fd = ours.get()] { return right_->receive(never, fd); };
    const auto message =
        call_and_wake<Result<Message*>>(receive, [&, fd = theirs.get()] { ASSERT_EQ(::send(fd, "x", 1, 0), 1); });
    ASSERT_OK(message);
    EXPECT_EQ(*message, nullptr);
    EXPECT_OK(right_->wait_readable(ours.get(), never));
    // A message that is there comes first.
    ASSERT_OK(left_->send(text_message(MessageType::stream, "one"), in(patience)));
    ASSERT_TRUE(eventually([&, fd = ours.get()] {
        const auto found = right_->receive(never, fd);
        return found && *found != nullptr;
    }));
}

TEST_F(ControlConnectionTest, TheErrorOfThePeerComesAfterWhatItSentBefore) {
    connect();
    ASSERT_OK(left_->send(text_message(MessageType::stream, "last words"), in(patience)));
    left_->shut_down("the cat pulled\nthe plug");
    ASSERT_TRUE(eventually([&] { return !right_->status(); }));
    EXPECT_CODE(right_->send(text_message(MessageType::stream, "more"), in(patience)), ErrorCode::peer_closed);
    const auto message = right_->receive(in(patience));
    ASSERT_OK(message);
    EXPECT_EQ(text_of(**message), "last words");
    EXPECT_CODE(right_->done(), ErrorCode::peer_closed);
    const auto error = right_->receive(in(patience));
    ASSERT_FALSE(error);
    EXPECT_EQ(error.error().code, ErrorCode::peer_closed);
    EXPECT_EQ(error.error().message, "the peer gave up: the cat pulled\\x0athe plug (right)");
    EXPECT_CODE(left_->send(text_message(MessageType::stream, "more"), in(patience)), ErrorCode::cancelled);
    EXPECT_CODE(left_->receive(in(patience)), ErrorCode::cancelled);
    EXPECT_CODE(left_->receive_response(in(patience)), ErrorCode::cancelled);
    EXPECT_CODE(left_->wait_used(in(patience)), ErrorCode::cancelled);
}

TEST_F(ControlConnectionTest, AnOrderlyEndLosesNothing) {
    for (int round = 0; round < 40; ++round) {
        connect({}, round % 2 == 0);
        const std::string last(max_payload_bytes, 'z');
        // The peer sends as well, so that there is unread input when the socket is closed.
        ASSERT_OK(right_->send(text_message(MessageType::stream, last), in(patience)));
        ASSERT_OK(left_->send(text_message(MessageType::stream, last), in(patience)));
        left_->shut_down({});
        left_.reset();
        const auto message = right_->receive(in(patience));
        ASSERT_OK(message);
        EXPECT_EQ((*message)->payload.size(), max_payload_bytes);
        static_cast<void>(right_->done());
        const auto end = right_->receive(in(patience));
        ASSERT_FALSE(end);
        EXPECT_EQ(end.error().code, ErrorCode::peer_closed);
        EXPECT_EQ(end.error().message.find("gave up"), std::string::npos) << end.error().message;
    }
}

TEST_F(ControlConnectionTest, ShutDownWakesEveryWait) {
    const auto silent = socket_pair();
    using Call = std::function<ErrorCode(ControlConnection&)>;
    const auto code = [](const auto& result) { return result ? ErrorCode::internal : result.error().code; };
    const std::vector<Call> calls{
        [&](ControlConnection& c) { return code(c.send(text_message(MessageType::stream, "two"), never)); },
        [&](ControlConnection& c) { return code(c.wait_used(never)); },
        [&](ControlConnection& c) { return code(c.receive(never)); },
        [&](ControlConnection& c) { return code(c.receive_response(never)); },
        [&](ControlConnection& c) { return code(c.wait_readable(silent.first.get(), never)); },
    };
    for (const bool by_peer : {false, true}) {
        for (const Call& call : calls) {
            connect();
            ASSERT_OK(left_->send(text_message(MessageType::stream, "one"), in(patience)));
            const ErrorCode found = call_and_wake<ErrorCode>([&] { return call(*left_); },
                                                             [&] { (by_peer ? right_ : left_)->shut_down("enough"); });
            EXPECT_EQ(found, by_peer ? ErrorCode::peer_closed : ErrorCode::cancelled);
        }
    }
}

TEST_F(ControlConnectionTest, HeartbeatsKeepASilentConnection) {
    connect({.heartbeat = 10ms, .silence = 400ms, .farewell = 100ms});
    const Instant later = in(1s);
    while (clock_.now() < later) {
        ASSERT_OK(left_->status());
        ASSERT_OK(right_->status());
        std::this_thread::sleep_for(5ms);
    }
}

TEST_F(ControlConnectionTest, WorksOverManyMessagesInBothDirectionsAtOnce) {
    connect();
    const auto talk = [](ControlConnection& connection) {
        auto received = std::async(std::launch::async, [&] {
            std::size_t bytes = 0;
            for (std::size_t i = 0; i < 300; ++i) {
                bytes += receive_text(connection).size();
            }
            return bytes;
        });
        for (std::size_t i = 0; i < 300; ++i) {
            const std::string text(1 + (i * 7919) % 200'000, 'b');
            EXPECT_OK(connection.send(text_message(MessageType::stream, text), in(patience)));
        }
        return received.get();
    };
    auto right = std::async(std::launch::async, [&] { return talk(*right_); });
    const std::size_t left_bytes = talk(*left_);
    EXPECT_EQ(left_bytes, right.get());
    EXPECT_GT(left_bytes, 300U);
}

}  // namespace
}  // namespace godwit::rdma
