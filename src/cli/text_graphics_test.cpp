#include "cli/text_graphics.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace godwit {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

TEST(Bar, ShowsAFraction) {
    EXPECT_EQ(bar(0, 4, Glyphs::ascii), "----");
    EXPECT_EQ(bar(0.5, 4, Glyphs::ascii), "##--");
    EXPECT_EQ(bar(1, 4, Glyphs::ascii), "####");
    EXPECT_EQ(bar(0.5, 4, Glyphs::unicode), "██  ");
    EXPECT_EQ(bar(0.5 + 1.0 / 32, 4, Glyphs::unicode), "██▏ ");
    EXPECT_EQ(bar(1, 2, Glyphs::unicode), "██");
}

TEST(Bar, IsAsWideAsAskedForWhateverTheFraction) {
    for (const double fraction : {-1.0, 0.0, 0.001, 0.33, 0.999, 1.0, 7.0, nan, infinity}) {
        for (std::size_t width = 0; width <= 200; ++width) {
            EXPECT_EQ(columns(bar(fraction, width, Glyphs::unicode)), width) << fraction;
            EXPECT_EQ(bar(fraction, width, Glyphs::ascii).size(), width) << fraction;
        }
    }
}

TEST(Sparkline, ScalesToTheHighestThatIsShown) {
    const std::array<double, 4> values = {0, 50, 100, 25};
    EXPECT_EQ(sparkline(values, 4, Glyphs::unicode), "▁▅█▃");
    EXPECT_EQ(sparkline(values, 4, Glyphs::ascii), "_~#,");
    EXPECT_EQ(sparkline(values, 6, Glyphs::ascii), "  _~#,");
    EXPECT_EQ(sparkline(values, 1, Glyphs::unicode), "█");
    EXPECT_EQ(sparkline({}, 3, Glyphs::unicode), "   ");
}

TEST(Sparkline, TakesAnyValue) {
    const std::array<double, 5> values = {nan, infinity, -5, 1e300, 0};
    for (std::size_t width = 0; width <= 200; ++width) {
        EXPECT_EQ(columns(sparkline(values, width, Glyphs::unicode)), width);
    }
    const std::array<double, 2> nothing = {0, 0};
    EXPECT_EQ(sparkline(nothing, 2, Glyphs::unicode), "▁▁");
}

TEST(Fit, CutsAndShowsThatItDid) {
    EXPECT_EQ(fit("abc", 3), "abc");
    EXPECT_EQ(fit("abcd", 3), "ab~");
    EXPECT_EQ(fit("███", 2), "█~");
    EXPECT_EQ(fit("abc", 1), "~");
    EXPECT_EQ(fit("abc", 0), "");
}

TEST(Flow, BreaksBetweenParts) {
    const std::array<std::string, 4> parts = {"one", "", "two", "three"};
    EXPECT_EQ(flow(parts, 20), (std::vector<std::string>{"one  two  three"}));
    EXPECT_EQ(flow(parts, 8), (std::vector<std::string>{"one  two", "three"}));
    EXPECT_EQ(flow(parts, 4), (std::vector<std::string>{"one", "two", "thr~"}));
}

}  // namespace
}  // namespace godwit
