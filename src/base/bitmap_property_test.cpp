#include "base/bitmap.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

namespace godwit {
namespace {

using Model = std::set<std::uint64_t>;

enum class Operation { set, reset, set_all, collect };

void check_same(const PageBitmap& bitmap, const Model& model) {
    RC_ASSERT(bitmap.count().value() == model.size());
    Model walked;
    for (PageNumber page = bitmap.next_set(PageNumber(0)); page.value() < bitmap.size().value();
         page = bitmap.next_set(PageNumber(page.value() + 1))) {
        RC_ASSERT(bitmap.test(page));
        walked.insert(page.value());
    }
    RC_ASSERT(walked == model);
}

/// What a dirty source does: it ORs words in, and those may have bits past the last page.
void collect(PageBitmap& bitmap, Model& model) {
    for (std::size_t i = 0; i < bitmap.words().size(); ++i) {
        const auto word = *rc::gen::arbitrary<std::uint64_t>();
        bitmap.words()[i] |= word;
        for (std::uint64_t bit = 0; bit < 64; ++bit) {
            if ((word >> bit & 1) != 0 && i * 64 + bit < bitmap.size().value()) {
                model.insert(i * 64 + bit);
            }
        }
    }
    bitmap.trim();
}

void apply(Operation operation, PageBitmap& bitmap, Model& model) {
    const std::uint64_t page = *rc::gen::inRange<std::uint64_t>(0, bitmap.size().value());
    switch (operation) {
        case Operation::set:
            bitmap.set(PageNumber(page));
            model.insert(page);
            return;
        case Operation::reset:
            bitmap.reset(PageNumber(page));
            model.erase(page);
            return;
        case Operation::set_all:
            bitmap.set_all();
            for (std::uint64_t i = 0; i < bitmap.size().value(); ++i) {
                model.insert(i);
            }
            return;
        case Operation::collect:
            return collect(bitmap, model);
    }
}

RC_GTEST_PROP(PageBitmapProperty, IsASetOfPages, ()) {
    PageBitmap bitmap{PageCount(*rc::gen::inRange<std::uint64_t>(1, 300))};
    Model model;
    const auto operations = *rc::gen::container<std::vector<Operation>>(rc::gen::weightedElement<Operation>(
        {{8, Operation::set}, {8, Operation::reset}, {1, Operation::set_all}, {2, Operation::collect}}));
    for (const Operation operation : operations) {
        apply(operation, bitmap, model);
        check_same(bitmap, model);
    }
}

RC_GTEST_PROP(PageBitmapProperty, NextSetIsTheFirstAtOrAfter, (const std::set<std::uint16_t>& pages)) {
    const std::uint64_t size = 1 << 16;
    PageBitmap bitmap{PageCount(size)};
    for (const std::uint16_t page : pages) {
        bitmap.set(PageNumber(page));
    }
    const auto from = *rc::gen::arbitrary<std::uint16_t>();
    const auto expected = pages.lower_bound(from);
    RC_ASSERT(bitmap.next_set(PageNumber(from)).value() == (expected == pages.end() ? size : *expected));
}

}  // namespace
}  // namespace godwit
