#include "machine/emulator_code.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace godwit {

EmulatorCode::EmulatorCode(const std::vector<PageCount>& pages) {
    std::size_t most_words = 0;
    for (const PageCount count : pages) {
        translated_.emplace_back(count);
        stale_.emplace_back(count);
        most_words = std::max(most_words, stale_.back().word_count());
    }
    taken_.resize(most_words);
}

void EmulatorCode::written(std::size_t block, PageNumber first, PageCount count) {
    if (stale_[block].mark_those_of(translated_[block], first, count)) {
        any_stale_.store(true);
    }
}

void EmulatorCode::note(std::size_t block, PageNumber page) {
    if (translated_[block].is_marked(page)) {
        return;
    }
    translated_[block].mark(page, PageCount(1));
    stale_[block].mark(page, PageCount(1));
    any_stale_.store(true);
}

void EmulatorCode::take_stale(const std::function<void(std::size_t block, PageNumber page)>& forget) {
    if (!any_stale_.exchange(false)) {
        return;
    }
    for (std::size_t block = 0; block < stale_.size(); ++block) {
        stale_[block].move_to(taken_);
        for (std::size_t n = 0; n < taken_.size(); ++n) {
            // A page stays noted: its code is translated anew from memory as it is after this.
            for (std::uint64_t word = std::exchange(taken_[n], 0); word != 0; word &= word - 1) {
                forget(block, PageNumber(64 * n + static_cast<unsigned>(std::countr_zero(word))));
            }
        }
    }
}

void EmulatorCode::forget_all() {
    for (std::size_t block = 0; block < stale_.size(); ++block) {
        written(block, PageNumber(0), translated_[block].pages());
    }
}

void EmulatorCode::clear() {
    for (BlockMarks* all : {&translated_, &stale_}) {
        for (PageMarks& marks : *all) {
            marks.clear();
        }
    }
}

}  // namespace godwit
