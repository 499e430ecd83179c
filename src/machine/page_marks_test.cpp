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

TEST(PageMarksTest, Of_a_stretch_only_the_pages_that_others_have_are_marked) {
    PageMarks others(PageCount(130));
    others.mark(PageNumber(2), PageCount(1));
    others.mark(PageNumber(63), PageCount(2));
    PageMarks marks(PageCount(130));
    EXPECT_FALSE(marks.mark_those_of(others, PageNumber(3), PageCount(60)));
    EXPECT_FALSE(marks.mark_those_of(others, PageNumber(65), PageCount(65)));
    EXPECT_TRUE(marks.mark_those_of(others, PageNumber(3), PageCount(62)));
    EXPECT_TRUE(marks.is_marked(PageNumber(64)));
    EXPECT_FALSE(marks.is_marked(PageNumber(2)));
    EXPECT_EQ(taken(marks), (Words{std::uint64_t{1} << 63, 1, 0}));
    EXPECT_TRUE(others.is_marked(PageNumber(2)));
}

TEST(PageMarksDeathTest, Pages_outside_are_a_mistake) {
    PageMarks marks(PageCount(64));
    EXPECT_DEATH(marks.mark(PageNumber(63), PageCount(2)), "are not among 64");
}

}  // namespace

}  // namespace godwit
