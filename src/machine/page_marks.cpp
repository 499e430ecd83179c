#include "machine/page_marks.h"

#include <algorithm>

#include "base/assert.h"

namespace godwit {

namespace {

constexpr std::uint64_t word_pages = 64;

/// The bits of a word from `first` on, `count` of them.
std::uint64_t mask(std::uint64_t first, std::uint64_t count) {
    const std::uint64_t ones = count == word_pages ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
    return ones << first;
}

/// Calls `act` with each word of these pages, and the bits in it.
template <typename Act>
void for_words(PageNumber first, PageCount count, const Act& act) {
    const std::uint64_t end = first.value() + count.value();
    for (std::uint64_t page = first.value(); page < end;) {
        const std::uint64_t in_word = std::min(word_pages - page % word_pages, end - page);
        act(page / word_pages, mask(page % word_pages, in_word));
        page += in_word;
    }
}

}  // namespace

PageMarks::PageMarks(PageCount pages)
    : pages_(pages), words_(std::make_unique<std::atomic<std::uint64_t>[]>(word_count())) {}

void PageMarks::check(PageNumber first, PageCount count) const {
    GODWIT_ASSERT(count.value() <= pages_.value() && first.value() <= pages_.value() - count.value(),
                  "{} pages from page {} are not among {}", count.value(), first.value(), pages_.value());
}

void PageMarks::mark(PageNumber first, PageCount count) {
    check(first, count);
    for_words(first, count, [&](std::uint64_t word, std::uint64_t bits) { words_[word].fetch_or(bits); });
}

bool PageMarks::is_marked(PageNumber page) const {
    check(page, PageCount(1));
    return (words_[page.value() / word_pages].load() & mask(page.value() % word_pages, 1)) != 0;
}

bool PageMarks::mark_those_of(PageMarks& others, PageNumber first, PageCount count) {
    check(first, count);
    others.check(first, count);
    bool any = false;
    for_words(first, count, [&](std::uint64_t word, std::uint64_t bits) {
        // A load could overtake the writing that came before.
        if (const std::uint64_t found = others.words_[word].fetch_or(0) & bits; found != 0) {
            words_[word].fetch_or(found);
            any = true;
        }
    });
    return any;
}

void PageMarks::clear() {
    std::for_each_n(words_.get(), word_count(), [](auto& word) { word.store(0); });
}

void PageMarks::move_to(std::span<std::uint64_t> bitmap) {
    GODWIT_ASSERT(bitmap.size() >= word_count(), "a bitmap of {} words for {} pages", bitmap.size(), pages_.value());
    for (std::size_t n = 0; n < word_count(); ++n) {
        // Reading is much cheaper than exchanging, and most words are 0.
        if (words_[n].load() != 0) {
            bitmap[n] |= words_[n].exchange(0);
        }
    }
}

}  // namespace godwit
