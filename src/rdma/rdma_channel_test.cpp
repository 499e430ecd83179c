#include "rdma/rdma_channel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <future>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "rdma/control_testing.h"
#include "rdma/page_pair_testing.h"
#include "rdma/socket_control_connection.h"
#include "rdma/testing.h"

namespace godwit::rdma {
namespace {

using namespace rdma::test;  // NOLINT(google-build-using-namespace)

class RdmaChannelTest : public ::testing::Test {
protected:
    RdmaChannelTest() {
        auto [left, right] = socket_pair();
        source_ = make(Role::source, std::move(left), "rdma:destination:1 (shm)");
        destination_ = make(Role::destination, std::move(right), "rdma:source:1 (shm)");
    }
    std::unique_ptr<RdmaChannel> make(Role role, FileDescriptor socket, const std::string& description) {
        auto control = SocketControlConnection::create(std::move(socket), description, clock_);
        EXPECT_OK(control);
        return std::make_unique<RdmaChannel>(role, std::move(*control), std::make_unique<FakeFabric>(network_),
                                             description);
    }
    /// A destination's channel whose peer is the test.
    std::unique_ptr<RdmaChannel> make_with_raw_peer(FileDescriptor& peer) {
        auto [ours, theirs] = socket_pair();
        peer = std::move(theirs);
        return make(Role::destination, std::move(ours), "rdma:source:1 (shm)");
    }

    MonotonicClock clock_;
    FakeNetwork network_{1};
    std::unique_ptr<RdmaChannel> source_;
    std::unique_ptr<RdmaChannel> destination_;
};

/// Writes bytes that follow from `seed`, in pieces of random sizes.
Status write_random(Channel& channel, std::uint32_t seed, std::size_t total_bytes) {
    std::mt19937 random(seed);
    std::mt19937 sizes(seed + 1);
    std::vector<std::byte> data(total_bytes);
    std::generate(data.begin(), data.end(), [&] { return static_cast<std::byte>(random() & 0xff); });
    for (ConstBuffer rest = data; !rest.empty();) {
        std::vector<ConstBuffer> buffers;
        for (ConstBuffer unused = rest; !unused.empty() && buffers.size() < 1 + sizes() % 50;) {
            const std::size_t size = std::min<std::size_t>(unused.size(), sizes() % 40'000);
            buffers.push_back(unused.first(size));
            unused = unused.subspan(size);
        }
        if (buffers.empty() || std::all_of(buffers.begin(), buffers.end(), [](ConstBuffer b) { return b.empty(); })) {
            continue;
        }
        const auto written = channel.write_some(buffers, in(patience));
        if (!written) {
            return fail(written.error());
        }
        rest = rest.subspan(*written);
    }
    return {};
}

/// Reads to the end, in pieces of random sizes, and says how many bytes were as they should.
std::size_t read_random(Channel& channel, std::uint32_t seed) {
    std::mt19937 random(seed);
    std::mt19937 sizes(seed + 2);
    std::size_t right_bytes = 0;
    for (;;) {
        std::vector<std::byte> first(1 + sizes() % 70'000);
        std::vector<std::byte> second(sizes() % 5'000);
        const std::array<MutableBuffer, 2> buffers{first, second};
        const auto got = channel.read_some(buffers, in(patience));
        EXPECT_OK(got);
        if (!got || *got == 0) {
            return right_bytes;
        }
        first.insert(first.end(), second.begin(), second.end());
        for (std::size_t i = 0; i < *got; ++i) {
            right_bytes += first[i] == static_cast<std::byte>(random() & 0xff) ? 1U : 0U;
        }
    }
}

TEST_F(RdmaChannelTest, CarriesStreamsInBothDirectionsAtOnce) {
    constexpr std::size_t total_bytes = 5'000'000;
    const auto write = [](Channel& channel, std::uint32_t seed) {
        Status written = write_random(channel, seed, total_bytes);
        return written ? channel.finish_writing(in(patience)) : written;
    };
    auto there = std::async(std::launch::async, [&] { return write(*source_, 1); });
    auto back = std::async(std::launch::async, [&] { return write(*destination_, 2); });
    auto at_source = std::async(std::launch::async, [&] { return read_random(*source_, 2); });
    EXPECT_EQ(read_random(*destination_, 1), total_bytes);
    EXPECT_EQ(at_source.get(), total_bytes);
    EXPECT_OK(there.get());
    EXPECT_OK(back.get());
    EXPECT_EQ(read_once(*destination_).value_or("?"), "");
}

TEST_F(RdmaChannelTest, OffersTheEndOfItsRole) {
    EXPECT_NE(source_->direct_page_sender(), nullptr);
    EXPECT_EQ(source_->direct_page_receiver(), nullptr);
    EXPECT_EQ(destination_->direct_page_sender(), nullptr);
    EXPECT_NE(destination_->direct_page_receiver(), nullptr);
    EXPECT_TRUE(source_->traits().bidirectional);
    EXPECT_EQ(source_->traits().description, "rdma:destination:1 (shm)");
}

TEST_F(RdmaChannelTest, DrainWaitsUntilEverythingHasBeenRead) {
    ASSERT_OK(write_all(*source_, "four"));
    EXPECT_CODE(source_->drain(in(30ms)), ErrorCode::idle_timeout);
    std::array<std::byte, 3> part{};
    const MutableBuffer buffer = part;
    EXPECT_EQ(destination_->read_some({&buffer, 1}, in(patience)).value_or(0), 3U);
    EXPECT_CODE(source_->drain(in(30ms)), ErrorCode::idle_timeout);
    EXPECT_EQ(read_once(*destination_).value_or("?"), "r");
    EXPECT_OK(source_->drain(in(patience)));
}

TEST_F(RdmaChannelTest, AnOrderlyEndIsNoFailureForThePeer) {
    ASSERT_OK(write_all(*source_, "all"));
    EXPECT_EQ(read_once(*destination_).value_or("?"), "all");
    auto finished = std::async(std::launch::async, [&] {
        Status status = source_->finish_writing(in(patience));
        source_->shutdown();
        return status;
    });
    EXPECT_EQ(read_once(*destination_).value_or("?"), "");
    EXPECT_OK(finished.get());
    EXPECT_CODE(source_->finish_writing(in(patience)), ErrorCode::cancelled);
    source_.reset();
    EXPECT_EQ(read_once(*destination_).value_or("?"), "");
    destination_->shutdown();
}

TEST_F(RdmaChannelTest, WhatWasWrittenBeforeTheShutdownArrives) {
    const std::string words(400'000, 'w');
    ASSERT_OK(write_all(*destination_, words));
    destination_->shutdown();
    destination_.reset();
    std::string heard;
    Result<std::string> part = std::string();
    while ((part = read_once(*source_)) && !part->empty()) {
        heard += *part;
    }
    EXPECT_EQ(heard, words);
    ASSERT_FALSE(part);
    EXPECT_EQ(part.error().code, ErrorCode::peer_closed);
    EXPECT_EQ(part.error().message,
              "the peer gave up: the destination ended the connection (rdma:destination:1 (shm))");
}

TEST_F(RdmaChannelTest, ACancelAtTheSourceIsAFailureAtTheDestination) {
    const auto read =
        call_and_wake<Result<std::string>>([&] { return read_once(*destination_); }, [&] { source_->shutdown(); });
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, ErrorCode::peer_closed);
    EXPECT_NE(read.error().message.find("the source ended the connection before its stream was over"),
              std::string::npos);
    EXPECT_CODE(read_once(*source_), ErrorCode::cancelled);
    EXPECT_CODE(write_all(*source_, "x"), ErrorCode::cancelled);
    EXPECT_CODE(source_->drain(in(patience)), ErrorCode::cancelled);
    EXPECT_CODE(source_->finish_writing(in(patience)), ErrorCode::cancelled);
}

TEST_F(RdmaChannelTest, ShutdownWakesAWriter) {
    ASSERT_OK(write_all(*source_, "unread"));
    const auto written =
        call_and_wake<Status>([&] { return write_all(*source_, "more"); }, [&] { source_->shutdown(); });
    EXPECT_CODE(written, ErrorCode::cancelled);
}

TEST_F(RdmaChannelTest, PagesGoBetweenTwoPartsOfTheStream) {
    ::godwit::testing::VectorMemory from({{"ram", 300}});
    ::godwit::testing::VectorMemory to({{"ram", 300}});
    for (std::uint64_t page = 0; page < 300; ++page) {
        std::memset(from.blocks()[0].host + page * page_bytes, static_cast<int>(1 + page % 200), page_bytes);
    }
    auto received = std::async(std::launch::async, [&] {
        MemoryTarget target(to);
        std::string stream;
        for (int round = 0; round < 2; ++round) {
            stream += read_once(*destination_).value_or("?");
            Status served = destination_->direct_page_receiver()->serve_round(target);
            stream += served ? " round " : served.error().text();
        }
        return stream + read_once(*destination_).value_or("?");
    });
    DirectPageSender& sender = *source_->direct_page_sender();
    ASSERT_OK(write_all(*source_, "setup"));
    ASSERT_OK(sender.open(from.blocks(), false, in(patience)));
    ASSERT_OK(sender.end_round(in(patience)));
    ASSERT_OK(write_all(*source_, "pages"));
    for (std::uint64_t page = 0; page < 300; ++page) {
        sender.put_page(0, PageNumber(page));
    }
    ASSERT_OK(sender.end_round(in(patience)));
    ASSERT_OK(write_all(*source_, "end"));
    EXPECT_EQ(received.get(), "setup round pages round end");
    EXPECT_EQ(std::memcmp(from.blocks()[0].host, to.blocks()[0].host, 300 * page_bytes), 0);
}

TEST_F(RdmaChannelTest, ACancelEndsARound) {
    ::godwit::testing::VectorMemory to({{"ram", 3}});
    const auto served = call_and_wake<Status>(
        [&] {
            MemoryTarget target(to);
            return destination_->direct_page_receiver()->serve_round(target);
        },
        [&] { source_->shutdown(); });
    EXPECT_CODE(served, ErrorCode::peer_closed);
}

TEST_F(RdmaChannelTest, AMessageAboutPagesOutsideOfARoundIsCorrupt) {
    FileDescriptor peer;
    const auto channel = make_with_raw_peer(peer);
    const std::string bytes = raw(MessageType::register_finished, std::string(16, '\0'));
    ASSERT_EQ(::send(peer.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    const auto read = read_once(*channel);
    EXPECT_CODE(read, ErrorCode::stream_corrupt);
    EXPECT_NE(read.error().message.find("REGISTER_FINISHED came outside of a round"), std::string::npos);
    EXPECT_CODE(read_once(*channel), ErrorCode::stream_corrupt);
}

TEST_F(RdmaChannelTest, AKilledPeerIsSeenAfterItsLastBytes) {
    FileDescriptor peer;
    const auto channel = make_with_raw_peer(peer);
    const std::string bytes = raw(MessageType::stream, "last");
    ASSERT_EQ(::send(peer.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    peer.reset();
    EXPECT_EQ(read_once(*channel).value_or("?"), "last");
    EXPECT_CODE(read_once(*channel), ErrorCode::peer_closed);
}

}  // namespace
}  // namespace godwit::rdma
