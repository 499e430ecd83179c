#include "machine/page_marks.h"

#include <gtest/gtest.h>

#include <vector>

namespace godwit {

namespace {

using Words = std::vector<std::uint64_t>;

Words taken(PageMarks& marks) {
    Words words(marks.word_count());
    marks.move_to(words);
    return words;
}

TEST(PageMarksTest, A_stretch_may_span_words) {
    PageMarks marks(PageCount(130));
    marks.mark(PageNumber(63), PageCount(66));
    EXPECT_EQ(taken(marks), (Words{std::uint64_t{1} << 63, ~std::uint64_t{0}, 1}));
}

TEST(PageMarksTest, Taking_adds_to_the_bitmap_and_takes_the_marks_back) {
    PageMarks marks(PageCount(64));
    marks.mark(PageNumber(3), PageCount(1));
    Words words{1};
    marks.move_to(words);
    EXPECT_EQ(words, Words{0b1001});
    EXPECT_EQ(taken(marks), Words{0});
}

TEST(PageMarksTest, Clearing_forgets_all) {
    PageMarks marks(PageCount(64));
    marks.mark(PageNumber(0), PageCount(64));
    marks.clear();
    EXPECT_EQ(taken(marks), Words{0});
}

TEST(PageMarksDeathTest, Pages_outside_are_a_mistake) {
    PageMarks marks(PageCount(64));
    EXPECT_DEATH(marks.mark(PageNumber(63), PageCount(2)), "are not among 64");
}

}  // namespace

}  // namespace godwit
