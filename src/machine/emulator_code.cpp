#include "machine/emulator_code.h"

#include <bit>
#include <utility>

namespace godwit {

void EmulatorCode::written(PageNumber first, PageCount count) {
    if (stale_.mark_those_of(translated_, first, count)) {
        any_stale_.store(true);
    }
}

void EmulatorCode::note(PageNumber page) {
    if (translated_.is_marked(page)) {
        return;
    }
    translated_.mark(page, PageCount(1));
    stale_.mark(page, PageCount(1));
    any_stale_.store(true);
}

void EmulatorCode::take_stale(const std::function<void(PageNumber)>& forget) {
    if (!any_stale_.exchange(false)) {
        return;
    }
    stale_.move_to(taken_);
    for (std::size_t n = 0; n < taken_.size(); ++n) {
        // A page stays noted: its code is translated anew from memory as it is after this.
        for (std::uint64_t word = std::exchange(taken_[n], 0); word != 0; word &= word - 1) {
            forget(PageNumber(64 * n + static_cast<unsigned>(std::countr_zero(word))));
        }
    }
}

void EmulatorCode::clear() {
    translated_.clear();
    stale_.clear();
}

}  // namespace godwit
