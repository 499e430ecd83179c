#include "tools/page_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace godwit {

Status PageHistory::listed_block(const std::string& id, ByteCount) {
    if (blocks_.size() == max_blocks) {
        return fail(ErrorCode::stream_corrupt, fmt::format("more than {} RAM blocks", max_blocks));
    }
    blocks_.push_back({id, 0});
    seen_.emplace_back();
    return {};
}

Status PageHistory::select_block(const std::string& id) {
    const auto found = std::find_if(blocks_.begin(), blocks_.end(), [&](const Block& block) { return block.id == id; });
    selected_ = static_cast<std::size_t>(found - blocks_.begin());
    return found == blocks_.end() ? listed_block(id, ByteCount(0)) : Status();
}

Status PageHistory::zero_page(BlockOffset offset, std::uint8_t) {
    note(page_at(offset));
    return {};
}

Result<PageTarget> PageHistory::page_target(BlockOffset) {
    return PageTarget{scratch_.data(), 0};
}

Status PageHistory::pages_arrived(BlockOffset offset, PageCount count) {
    for (std::uint64_t i = 0; i < count.value(); ++i) {
        note(page_at(offset) + PageNumber(i));
    }
    return {};
}

Status PageHistory::xbzrle_page(BlockOffset offset, ConstBuffer) {
    note(page_at(offset));
    return {};
}

void PageHistory::note(PageNumber page) {
    ++pages_;
    if (passes_ == 0 || std::tie(selected_, page) <= std::tie(last_block_, last_page_)) {
        ++passes_;
    }
    last_block_ = selected_;
    last_page_ = page;
    if (was_there(page)) {
        ++blocks_[selected_].pages_again;
    }
}

/// And is from now on.
bool PageHistory::was_there(PageNumber page) {
    auto& stretches = seen_[selected_];
    const std::uint64_t number = page.value() / pages_per_stretch;
    auto found = stretches.find(number);
    if (found == stretches.end()) {
        if (stretches_ == max_stretches) {
            complete_ = false;
            return false;
        }
        ++stretches_;
        found = stretches.emplace(number, std::make_unique<Stretch>()).first;
    }
    auto bit = (*found->second)[page.value() % pages_per_stretch];
    const bool was_set = bit;
    bit = true;
    return was_set;
}

}  // namespace godwit
