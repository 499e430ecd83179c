#include "machine/holding_dirty_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace godwit {
namespace {

using ::testing::ElementsAre;

/// Writes down what is done to it and to the CPUs, in order.
class HoldingDirtySourceTest : public ::testing::Test, public DirtySource {
protected:
    Status start() override {
        told_.emplace_back("start");
        return fails_ ? Status(fail(ErrorCode::dirty_tracking, "no")) : Status();
    }
    void stop() override { told_.emplace_back("stop"); }
    Status collect(std::size_t block, std::span<std::uint64_t> bitmap) override {
        bitmap[0] = block;
        return {};
    }
    Status clear(std::size_t block, PageNumber first, std::span<const std::uint64_t> bits) override {
        EXPECT_EQ(block, 2U);
        EXPECT_EQ(first.value(), 64U);
        EXPECT_EQ(bits.size(), 3U);
        told_.emplace_back("clear");
        return {};
    }
    void hold(HoldingDirtySource::Moment until) {
        const auto now = std::chrono::steady_clock::now();
        EXPECT_LE(until, now + HoldingDirtySource::longest_hold);
        told_.emplace_back(until > now ? "hold" : "let go");
    }

    bool fails_ = false;
    std::vector<std::string> told_;
    HoldingDirtySource source_{*this, [this](HoldingDirtySource::Moment until) { hold(until); }};
};

TEST_F(HoldingDirtySourceTest, HoldsTheCpusWhileTrackingIsSwitched) {
    ASSERT_TRUE(source_.start());
    EXPECT_THAT(told_, ElementsAre("hold", "start", "let go"));
    told_.clear();
    source_.stop();
    EXPECT_THAT(told_, ElementsAre("hold", "stop", "let go"));
}

TEST_F(HoldingDirtySourceTest, LetsThemGoWhereTrackingDoesNotStart) {
    fails_ = true;
    EXPECT_FALSE(source_.start());
    EXPECT_THAT(told_, ElementsAre("hold", "start", "let go"));
}

TEST_F(HoldingDirtySourceTest, DoesNotHoldThemForNothing) {
    source_.stop();
    EXPECT_THAT(told_, ElementsAre());
}

TEST_F(HoldingDirtySourceTest, PagesGoThrough) {
    ASSERT_TRUE(source_.start());
    told_.clear();
    std::vector<std::uint64_t> words(3);
    ASSERT_TRUE(source_.collect(7, words));
    EXPECT_EQ(words[0], 7U);
    ASSERT_TRUE(source_.clear(2, PageNumber(64), words));
    EXPECT_THAT(told_, ElementsAre("clear"));
}

}  // namespace
}  // namespace godwit
