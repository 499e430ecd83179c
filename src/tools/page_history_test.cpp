#include "tools/page_history.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

BlockOffset page(std::uint64_t number) {
    return offset_of(PageNumber(number));
}

TEST(PageHistory, CountsPagesThatComeAgainAndPasses) {
    PageHistory history;
    ASSERT_TRUE(history.listed_block("a", ByteCount(4 * page_bytes)));
    ASSERT_TRUE(history.listed_block("b", ByteCount(4 * page_bytes)));
    ASSERT_TRUE(history.select_block("a"));
    ASSERT_TRUE(history.zero_page(page(0), 0));
    ASSERT_TRUE(history.pages_arrived(page(1), PageCount(2)));
    ASSERT_TRUE(history.select_block("b"));
    ASSERT_TRUE(history.zero_page(page(0), 0));
    EXPECT_EQ(history.passes(), 1U);
    ASSERT_TRUE(history.select_block("a"));
    ASSERT_TRUE(history.xbzrle_page(page(2), {}));
    ASSERT_TRUE(history.pages_arrived(page(3), PageCount(1)));
    EXPECT_EQ(history.passes(), 2U);
    ASSERT_TRUE(history.pages_arrived(page(3), PageCount(1)));
    EXPECT_EQ(history.passes(), 3U);
    EXPECT_EQ(history.blocks()[0].pages_again, 2U);
    EXPECT_EQ(history.blocks()[1].pages_again, 0U);
    EXPECT_TRUE(history.is_complete());
}

TEST(PageHistory, ABlockThatIsNotListedIsOneMore) {
    PageHistory history;
    ASSERT_TRUE(history.select_block("late"));
    ASSERT_TRUE(history.zero_page(page(7), 0));
    ASSERT_TRUE(history.zero_page(page(7), 0));
    ASSERT_EQ(history.blocks().size(), 1U);
    EXPECT_EQ(history.blocks()[0].id, "late");
    EXPECT_EQ(history.blocks()[0].pages_again, 1U);
}

TEST(PageHistory, ItsMemoryHasALimit) {
    PageHistory history;
    ASSERT_TRUE(history.select_block("large"));
    constexpr std::uint64_t pages_far_apart = 9000;
    for (std::uint64_t i = 0; i < pages_far_apart; ++i) {
        ASSERT_TRUE(history.zero_page(page(i << 20), 0));
    }
    EXPECT_FALSE(history.is_complete());
    ASSERT_TRUE(history.zero_page(page(0), 0));
    EXPECT_EQ(history.blocks()[0].pages_again, 1U) << "those that are known still count";
}

}  // namespace
}  // namespace godwit
