// Who uses a fabric hears of the peer's end through the connection first.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "ram/testing.h"
#include "rdma/control_testing.h"
#include "rdma/page_pair_testing.h"
#include "rdma/socket_control_connection.h"

namespace godwit::rdma {
namespace {

using namespace rdma::test;  // NOLINT(google-build-using-namespace)

class ControlSettleTest : public ::testing::Test {
protected:
    void connect(std::pair<FileDescriptor, FileDescriptor> ends = socket_pair(),
                 ControlTimes times = {.farewell = 20ms}) {
        connection_ = *SocketControlConnection::create(std::move(ends.first), "peer", clock_, times);
        peer_ = std::move(ends.second);
    }
    void say(const std::string& bytes) const {
        EXPECT_EQ(::send(peer_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    }
    /// What is in the peer's socket now.
    std::string heard() const {
        std::array<char, 4096> bytes{};
        const ssize_t got = ::recv(peer_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        return got > 0 ? std::string(bytes.data(), static_cast<std::size_t>(got)) : std::string();
    }

    /// It is a race that must not exist: often enough to be seen.
    static constexpr int rounds = 100;
    MonotonicClock clock_;
    FileDescriptor peer_;
    std::unique_ptr<ControlConnection> connection_;
};

TEST_F(ControlSettleTest, WhereNothingHasComeItReturns) {
    connect();
    EXPECT_OK(connection_->settle());
    say(raw(MessageType::heartbeat) + raw(MessageType::ready));
    EXPECT_OK(connection_->settle());
}

TEST_F(ControlSettleTest, ThePeersErrorIsKnownThen) {
    for (int round = 0; round < rounds; ++round) {
        connect();
        say(raw(MessageType::error, "no room"));
        EXPECT_CODE(connection_->settle(), ErrorCode::peer_closed);
    }
}

TEST_F(ControlSettleTest, ThePeersCloseIsKnownThen) {
    for (int round = 0; round < rounds; ++round) {
        connect(tcp_pair());
        peer_.reset();
        EXPECT_CODE(connection_->settle(), ErrorCode::peer_closed);
    }
}

TEST_F(ControlSettleTest, AMessageBeforeTheEndIsNotLost) {
    connect();
    say(raw(MessageType::stream, "last"));
    peer_.reset();
    EXPECT_CODE(connection_->settle(), ErrorCode::peer_closed);
    const auto message = connection_->receive(never);
    ASSERT_OK(message);
    EXPECT_EQ(text_of(**message), "last");
}

TEST_F(ControlSettleTest, AfterTheFarewellThePeersHostHasEverything) {
    connect(tcp_pair());
    connection_->wait_farewell();  // not shut down: there is nothing to wait for
    connection_->shut_down({});
    connection_->wait_farewell();
    EXPECT_EQ(heard(), raw(MessageType::ready));
}

TEST_F(ControlSettleTest, AfterTheFarewellAPeerThatWasToldOfAFailureHasClosed) {
    connect(tcp_pair(), {.heartbeat = 1s, .silence = 100s, .farewell = patience});
    std::string heard_text;
    std::thread peer([&] {
        EXPECT_TRUE(eventually([&] { return (heard_text += heard()).ends_with("too slow"); }));
        peer_.reset();
    });
    connection_->shut_down("too slow");
    connection_->wait_farewell();
    peer.join();
    EXPECT_TRUE(heard_text.ends_with("too slow"));
}

TEST_F(ControlSettleTest, TheFarewellToAPeerThatDoesNotCloseEnds) {
    connect(socket_pair(), {.heartbeat = 1s, .silence = 10s, .farewell = 50ms});
    connection_->shut_down("too slow");
    const Instant start = clock_.now();
    connection_->wait_farewell();
    EXPECT_LT(clock_.now() - start, 5s);
}

/// Does something of the test's when it is used.
class WatchedFabric : public FakeFabric {
public:
    WatchedFabric(FakeNetwork& network, std::function<void()> at_progress, std::function<void()> at_end)
        : FakeFabric(network), at_progress_(std::move(at_progress)), at_end_(std::move(at_end)) {}
    ~WatchedFabric() override { at_end_(); }
    Result<bool> progress(std::vector<WriteId>&) override {
        at_progress_();
        return true;
    }

private:
    std::function<void()> at_progress_;
    std::function<void()> at_end_;
};

TEST_F(ControlSettleTest, ADestinationDoesNotWorkForASourceThatGaveUp) {
    connect();
    FakeNetwork network(1);
    int steps = 0;
    constexpr int last_step = 3;
    const auto step = [&] {
        if (++steps == last_step) {
            say(raw(MessageType::error, "enough"));
        }
    };
    PageReceiver receiver(*connection_, std::make_unique<WatchedFabric>(network, step, [] {}));
    ::godwit::testing::VectorMemory memory({{"ram", 4}});
    MemoryTarget target(memory);
    EXPECT_CODE(receiver.serve_round(target), ErrorCode::peer_closed);
    EXPECT_EQ(steps, last_step);
}

TEST_F(ControlSettleTest, ASourcesFabricEndsAfterThePeersHostHasTheReason) {
    connect(tcp_pair(), {.farewell = 200ms});
    FakeNetwork network(1);
    std::string heard_before_the_end;
    PageSender sender(*connection_, std::make_unique<WatchedFabric>(
                                        network, [] {}, [&] { heard_before_the_end = heard(); }));
    connection_->shut_down("cancelled");
    sender.close();
    EXPECT_TRUE(heard_before_the_end.ends_with("cancelled"));
}

}  // namespace
}  // namespace godwit::rdma
