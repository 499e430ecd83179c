#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "base/assert.h"
#include "base/count_ones.h"
#include "godwit/units.h"

namespace godwit {

/// One bit per page of a RAM block. Bits past the last page are always zero. Not shared between threads.
class PageBitmap {
public:
    PageBitmap() = default;
    explicit PageBitmap(PageCount pages) : pages_(pages.value()), words_((pages.value() + 63) / 64) {}

    PageCount size() const { return PageCount(pages_); }
    /// For a `DirtySource` to OR into; call `trim` after.
    std::span<std::uint64_t> words() { return words_; }
    std::span<const std::uint64_t> words() const { return words_; }

    bool test(PageNumber page) const { return (words_[index(page)] >> (page.value() % 64)) & 1; }
    void set(PageNumber page) { words_[index(page)] |= mask(page); }
    void reset(PageNumber page) { words_[index(page)] &= ~mask(page); }
    void set_all() {
        std::fill(words_.begin(), words_.end(), ~std::uint64_t{0});
        trim();
    }
    /// Clears what a source may have set past the last page.
    void trim() {
        if (pages_ % 64 != 0) {
            words_.back() &= (std::uint64_t{1} << (pages_ % 64)) - 1;
        }
    }
    PageCount count() const { return PageCount(count_ones(words_)); }
    /// The first set page at or after `from`; `size()` when there is none.
    PageNumber next_set(PageNumber from) const {
        if (from.value() >= pages_) {
            return PageNumber(pages_);
        }
        std::uint64_t word_index = from.value() / 64;
        std::uint64_t word = words_[word_index] & (~std::uint64_t{0} << (from.value() % 64));
        while (word == 0) {
            if (++word_index == words_.size()) {
                return PageNumber(pages_);
            }
            word = words_[word_index];
        }
        return PageNumber(word_index * 64 + static_cast<std::uint64_t>(std::countr_zero(word)));
    }

private:
    std::size_t index(PageNumber page) const {
        GODWIT_ASSERT(page.value() < pages_, "page {} of a block of {} pages", page.value(), pages_);
        return page.value() / 64;
    }
    static std::uint64_t mask(PageNumber page) { return std::uint64_t{1} << (page.value() % 64); }

    std::uint64_t pages_ = 0;
    std::vector<std::uint64_t> words_;
};

}  // namespace godwit
