#include "sim/sim_opener.h"

#include <gtest/gtest.h>

#include <utility>

namespace godwit::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class OpenerTest : public testing::Test {
protected:
    Instant soon() const { return clock.now() + seconds(1); }

    StackPool stacks;
    World world{1, ScheduleStyle{}, stacks};
    NodeClock clock{world, seconds(1234)};
};

TEST_F(OpenerTest, openers_meet_or_fail_as_told) {
    auto place = std::make_shared<Rendezvous>(world);
    SimOpener connecting(place, clock, 0);
    SimOpener accepting(place, clock, 1);
    std::unique_ptr<Channel> channels[2];
    world.scheduler().spawn(-1, "accept", [&] { channels[1] = std::move(*accepting.open(never)); });
    world.scheduler().spawn(-1, "connect", [&] {
        world.scheduler().sleep_for(milliseconds(1));
        channels[0] = std::move(*connecting.open(soon()));
        world.scheduler().sleep_for(milliseconds(1));
        world.scheduler().stop();
    });
    ASSERT_EQ(world.scheduler().run(), Stuck::no);
    EXPECT_NE(channels[0], nullptr);
    EXPECT_NE(channels[1], nullptr);
}

TEST_F(OpenerTest, connecting_fails_as_told) {
    for (const auto& [outcome, code] : {std::pair{ConnectOutcome::refused, ErrorCode::connect},
                                        std::pair{ConnectOutcome::no_answer, ErrorCode::connect_timeout},
                                        std::pair{ConnectOutcome::connects, ErrorCode::connect}}) {
        auto place = std::make_shared<Rendezvous>(world);
        place->outcome = outcome;
        SimOpener opener(place, clock, 0);
        world.scheduler().spawn(-1, "connect", [&] {
            const Result<std::unique_ptr<Channel>> channel = opener.open(soon());
            ASSERT_FALSE(channel);
            EXPECT_EQ(channel.error().code, code);
            world.scheduler().stop();
        });
        ASSERT_EQ(world.scheduler().run(), Stuck::no);
    }
}

TEST_F(OpenerTest, cancel_ends_the_wait_for_a_connection) {
    auto place = std::make_shared<Rendezvous>(world);
    SimOpener opener(place, clock, 1);
    world.scheduler().spawn(-1, "accept", [&] {
        const Result<std::unique_ptr<Channel>> channel = opener.open(never);
        ASSERT_FALSE(channel);
        EXPECT_EQ(channel.error().code, ErrorCode::cancelled);
        world.scheduler().stop();
    });
    world.scheduler().spawn(-1, "cancel", [&] {
        world.scheduler().sleep_for(seconds(9));
        opener.cancel();
    });
    EXPECT_EQ(world.scheduler().run(), Stuck::no);
}

}  // namespace
}  // namespace godwit::sim
