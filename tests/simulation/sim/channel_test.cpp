#include "sim/sim_channel.h"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <vector>

namespace godwit::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ChannelTest : public testing::Test {
protected:
    ChannelTest() {
        for (std::size_t i = 0; i < 2; ++i) {
            properties.pipes[i].bytes_per_s = 1'000'000;
            properties.pipes[i].latency = milliseconds(1);
            properties.pipes[i].capacity_bytes = 10'000;
            properties.faults[i].short_call_percent = 0;
        }
        properties.close_resets = false;
    }
    /// Runs a script for each end, with channels that exist until both have ended.
    void run(const std::function<void(Channel&)>& source, const std::function<void(Channel&)>& destination) {
        link = std::make_shared<Link>(world, properties);
        auto first = std::make_unique<SimChannel>(world, clock, link, 0, "first");
        auto second = std::make_unique<SimChannel>(world, clock, link, 1, "second");
        Fiber& a = world.scheduler().spawn(-1, "source", [&] { source(*first); });
        Fiber& b = world.scheduler().spawn(-1, "destination", [&] { destination(*second); });
        world.scheduler().spawn(-1, "test", [&] {
            world.scheduler().join(a);
            world.scheduler().join(b);
            world.scheduler().stop();
        });
        ASSERT_EQ(world.scheduler().run(), Stuck::no) << world.scheduler().describe_fibers();
    }
    Instant soon(Duration time = seconds(1)) const { return clock.now() + time; }

    static Result<std::size_t> write(Channel& channel, std::span<const std::byte> bytes, Instant deadline) {
        const ConstBuffer buffers[] = {bytes};
        return channel.write_some(buffers, deadline);
    }
    static Result<std::size_t> read(Channel& channel, std::span<std::byte> bytes, Instant deadline) {
        const MutableBuffer buffers[] = {bytes};
        return channel.read_some(buffers, deadline);
    }
    static void write_all(Channel& channel, std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const Result<std::size_t> written = write(channel, bytes, never);
            ASSERT_TRUE(written) << written.error().message;
            bytes = bytes.subspan(*written);
        }
    }
    /// Reads to the end of the stream or the first error.
    static std::vector<std::byte> read_all(Channel& channel, Instant deadline, Result<std::size_t>& last) {
        std::vector<std::byte> all;
        std::vector<std::byte> piece(777);
        while ((last = read(channel, piece, deadline)) && *last > 0) {
            all.insert(all.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(*last));
        }
        return all;
    }
    static std::vector<std::byte> pattern(std::size_t bytes) {
        std::vector<std::byte> data(bytes);
        std::uint32_t value = 1;
        for (std::byte& byte : data) {
            value = value * 1664525U + 1013904223U;
            byte = static_cast<std::byte>(value >> 24);
        }
        return data;
    }

    StackPool stacks;
    World world{1, ScheduleStyle{}, stacks};
    NodeClock clock{world, seconds(1234)};
    LinkProperties properties;
    std::shared_ptr<Link> link;
};

TEST_F(ChannelTest, bytes_arrive_complete_and_in_order_at_the_pace_of_the_link) {
    properties.faults[0].short_call_percent = 50;
    properties.faults[1].short_call_percent = 50;
    const std::vector<std::byte> data = pattern(100'000);
    std::vector<std::byte> got;
    Result<std::size_t> last = 1;
    run(
        [&](Channel& channel) {
            write_all(channel, data);
            EXPECT_TRUE(channel.finish_writing(never));
            EXPECT_TRUE(channel.finish_writing(never));
        },
        [&](Channel& channel) { got = read_all(channel, never, last); });
    EXPECT_EQ(got, data);
    EXPECT_TRUE(last);
    // 100,000 bytes at a million per second, and the latency.
    EXPECT_GE(world.now(), milliseconds(101));
    EXPECT_LT(world.now(), milliseconds(250));
    EXPECT_EQ(link->outgoing(0).written(), data.size());
    EXPECT_EQ(link->outgoing(0).fetched(), data.size());
    EXPECT_TRUE(world.violations().empty());
}

TEST_F(ChannelTest, writing_blocks_when_nobody_reads_until_the_deadline) {
    const std::vector<std::byte> data = pattern(20'000);
    run(
        [&](Channel& channel) {
            const Result<std::size_t> first = write(channel, data, never);
            ASSERT_TRUE(first);
            EXPECT_EQ(*first, 10'000U);
            const Instant begun = clock.now();
            const Result<std::size_t> second = write(channel, data, begun + milliseconds(300));
            ASSERT_FALSE(second);
            EXPECT_EQ(second.error().code, ErrorCode::idle_timeout);
            EXPECT_GE(clock.now() - begun, milliseconds(300));
        },
        [](Channel&) {});
}

TEST_F(ChannelTest, reading_ends_with_its_deadline) {
    run([](Channel&) {},
        [&](Channel& channel) {
            std::byte byte{};
            const Result<std::size_t> got = read(channel, {&byte, 1}, soon());
            ASSERT_FALSE(got);
            EXPECT_EQ(got.error().code, ErrorCode::idle_timeout);
        });
}

TEST_F(ChannelTest, shutdown_wakes_blocked_calls_and_the_peer_sees_the_end) {
    Result<std::size_t> end = 1;
    run(
        [&](Channel& channel) {
            world.scheduler().spawn(-1, "stopper", [&] {
                world.scheduler().sleep_for(milliseconds(50));
                channel.shutdown();
            });
            std::byte byte{};
            const Result<std::size_t> got = read(channel, {&byte, 1}, never);
            ASSERT_FALSE(got);
            EXPECT_EQ(got.error().code, ErrorCode::cancelled);
            EXPECT_LT(world.now(), milliseconds(60));
            EXPECT_EQ(write(channel, {&byte, 1}, never).error().code, ErrorCode::cancelled);
            EXPECT_EQ(channel.drain(never).error().code, ErrorCode::cancelled);
        },
        [&](Channel& channel) { read_all(channel, never, end); });
    ASSERT_TRUE(end);
    EXPECT_EQ(*end, 0U);
}

TEST_F(ChannelTest, reset_strikes_after_the_given_byte) {
    properties.faults[0].reset_after_bytes = 1'000;
    Result<std::size_t> last = 1;
    std::vector<std::byte> got;
    const std::vector<std::byte> data = pattern(3'000);
    run(
        [&](Channel& channel) {
            const Result<std::size_t> written = write(channel, data, never);
            ASSERT_TRUE(written);
            EXPECT_EQ(*written, 1'000U);
            const Result<std::size_t> more = write(channel, data, never);
            ASSERT_FALSE(more);
            EXPECT_EQ(more.error().code, ErrorCode::peer_closed);
        },
        [&](Channel& channel) { got = read_all(channel, never, last); });
    ASSERT_FALSE(last);
    EXPECT_EQ(last.error().code, ErrorCode::peer_closed);
    EXPECT_LE(got.size(), 1'000U);
    EXPECT_TRUE(std::equal(got.begin(), got.end(), data.begin()));
}

TEST_F(ChannelTest, lost_bytes_never_arrive_and_the_writer_is_not_told) {
    properties.faults[0].lose_after_bytes = 1'000;
    Result<std::size_t> last = 1;
    std::vector<std::byte> got;
    run(
        [&](Channel& channel) {
            write_all(channel, pattern(3'000));
            EXPECT_EQ(channel.drain(soon()).error().code, ErrorCode::idle_timeout);
            channel.shutdown();
        },
        [&](Channel& channel) { got = read_all(channel, soon(seconds(5)), last); });
    EXPECT_EQ(got.size(), 1'000U);
    ASSERT_FALSE(last);
    EXPECT_EQ(last.error().code, ErrorCode::idle_timeout);
}

TEST_F(ChannelTest, a_stall_that_ends_loses_nothing) {
    properties.faults[0].stall_after_bytes = 500;
    properties.faults[0].stall_time = seconds(3);
    Result<std::size_t> last = 1;
    std::vector<std::byte> got;
    const std::vector<std::byte> data = pattern(30'000);
    run(
        [&](Channel& channel) {
            write_all(channel, data);
            EXPECT_TRUE(channel.drain(soon()));
            EXPECT_TRUE(channel.finish_writing(never));
        },
        [&](Channel& channel) { got = read_all(channel, never, last); });
    EXPECT_EQ(got, data);
    EXPECT_GE(world.now(), seconds(3));
}

TEST_F(ChannelTest, drain_waits_for_the_acknowledgement) {
    run(
        [&](Channel& channel) {
            write_all(channel, pattern(5'000));
            EXPECT_TRUE(channel.drain(never));
            // The time on the link, there and back.
            EXPECT_GE(world.now(), milliseconds(7));
            EXPECT_LT(world.now(), milliseconds(8));
        },
        [](Channel&) {});
}

TEST_F(ChannelTest, what_a_crashed_host_had_not_sent_is_gone) {
    Result<std::size_t> last = 1;
    std::vector<std::byte> got;
    run(
        [&](Channel& channel) {
            write_all(channel, pattern(1'000));
            world.scheduler().sleep_for(milliseconds(5));
            write_all(channel, pattern(5'000));
            link->crash(0, CrashStyle::silent);
        },
        [&](Channel& channel) { got = read_all(channel, soon(seconds(5)), last); });
    EXPECT_EQ(got.size(), 1'000U);
    EXPECT_EQ(last.error().code, ErrorCode::idle_timeout);
}

TEST_F(ChannelTest, misuse_is_noticed) {
    run(
        [&](Channel& channel) {
            std::byte byte{};
            EXPECT_FALSE(channel.write_some({}, never));
            ASSERT_TRUE(channel.finish_writing(never));
            static_cast<void>(write(channel, {&byte, 1}, never));
            channel.shutdown();
            static_cast<void>(write(channel, {&byte, 1}, never));
            static_cast<void>(write(channel, {&byte, 1}, never));
        },
        [](Channel&) {});
    const auto noticed = [&](const char* what) {
        return std::count_if(world.violations().begin(), world.violations().end(),
                             [&](const std::string& text) { return text.find(what) != std::string::npos; });
    };
    EXPECT_EQ(noticed("write_some with 0 bytes"), 1);
    EXPECT_EQ(noticed("a write after finish_writing"), 3);
    EXPECT_EQ(noticed("a write after a failed write"), 1);
}

}  // namespace
}  // namespace godwit::sim
