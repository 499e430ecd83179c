#include "base/count_ones.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace godwit {
namespace {

TEST(CountOnes, TwinsAgreeOnAnyWords) {
    std::mt19937_64 random(1);
    for (std::size_t count = 0; count < 100; ++count) {
        std::vector<std::uint64_t> words(count);
        std::uint64_t expected = 0;
        for (std::uint64_t& word : words) {
            word = random() & random();
            for (int bit = 0; bit < 64; ++bit) {
                expected += word >> bit & 1;
            }
        }
        EXPECT_EQ(count_ones_detail::count_portable(words), expected);
        EXPECT_EQ(count_ones(words), expected);
        if (count_ones_detail::has_instruction()) {
            EXPECT_EQ(count_ones_detail::count_by_instruction(words), expected);
        }
    }
}

TEST(CountOnes, KnowsTheEnds) {
    EXPECT_EQ(count_ones({}), 0U);
    const std::vector<std::uint64_t> full(1000, ~std::uint64_t{0});
    EXPECT_EQ(count_ones(full), 64'000U);
}

}  // namespace
}  // namespace godwit
