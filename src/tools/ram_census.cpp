#include "tools/ram_census.h"

#include <fmt/format.h>

#include <algorithm>

#include "ram/xbzrle.h"
#include "stream/format.h"

namespace godwit {

RamCensus::Counts& RamCensus::Counts::operator+=(const Counts& other) {
    normal += other.normal;
    normal_bytes += other.normal_bytes;
    zero += other.zero;
    xbzrle += other.xbzrle;
    xbzrle_bytes += other.xbzrle_bytes;
    return *this;
}

RamCensus::Counts RamCensus::take_recent() {
    return std::exchange(recent_, Counts{});
}

Status RamCensus::listed_block(const std::string& id, ByteCount used_length) {
    if (blocks_.size() == max_blocks) {
        return fail(ErrorCode::stream_corrupt, fmt::format("more than {} RAM blocks", max_blocks));
    }
    listed_ = true;
    blocks_.push_back(Block{id, used_length, {}});
    return next_ != nullptr && used_length.value() != 0 ? next_->listed_block(id, used_length) : Status();
}

Status RamCensus::select_block(const std::string& id) {
    const auto found = std::find_if(blocks_.begin(), blocks_.end(), [&](const Block& block) { return block.id == id; });
    selected_ = static_cast<std::size_t>(found - blocks_.begin());
    if (found != blocks_.end()) {
        return next_ != nullptr ? next_->select_block(id) : Status();
    }
    if (listed_) {
        return fail(ErrorCode::ram_mismatch, fmt::format("RAM block \"{}\" is not in the stream's list of blocks", id));
    }
    const Status added = listed_block(id, ByteCount(0));
    listed_ = false;
    return added && next_ != nullptr ? next_->select_block(id) : added;
}

Status RamCensus::check(BlockOffset offset) const {
    const Block& block = blocks_[selected_];
    if (block.size.value() != 0 && offset.value() >= block.size.value()) {
        return fail(ErrorCode::stream_corrupt, fmt::format("offset 0x{:x} is outside RAM block \"{}\" of 0x{:x} bytes",
                                                           offset.value(), block.id, block.size.value()));
    }
    return {};
}

void RamCensus::count(const Counts& counts) {
    blocks_[selected_].counts += counts;
    recent_ += counts;
}

Status RamCensus::zero_page(BlockOffset offset, std::uint8_t fill) {
    count({.zero = 1});
    Status inside = check(offset);
    return inside && next_ != nullptr ? next_->zero_page(offset, fill) : inside;
}

Result<PageTarget> RamCensus::page_target(BlockOffset offset) {
    if (Status inside = check(offset); !inside) {
        return fail(inside.error());
    }
    return next_ != nullptr ? next_->page_target(offset) : PageTarget{scratch_.data(), 0};
}

void RamCensus::run_begins(PageCount pages) {
    run_left_ = pages.value();
    count({.normal_bytes = format::run_head_bytes});
    if (next_ != nullptr) {
        next_->run_begins(pages);
    }
}

Result<PageTarget> RamCensus::run_target(BlockOffset offset, PageCount announced) {
    if (Status inside = check(offset); !inside) {
        return fail(inside.error());
    }
    return next_ != nullptr ? next_->run_target(offset, announced) : PageTarget{scratch_.data(), 0};
}

Status RamCensus::pages_arrived(BlockOffset offset, PageCount pages) {
    const bool in_run = run_left_ > 0;
    run_left_ -= in_run ? pages.value() : 0;
    const std::uint64_t heads = in_run ? 0 : pages.value() * format::page_head_bytes;
    count({.normal = pages.value(), .normal_bytes = heads + pages.value() * page_bytes});
    return next_ != nullptr ? next_->pages_arrived(offset, pages) : Status();
}

Status RamCensus::overwritten_ahead(BlockOffset offset, PageCount pages) {
    return next_ != nullptr ? next_->overwritten_ahead(offset, pages) : Status();
}

Status RamCensus::xbzrle_page(BlockOffset offset, ConstBuffer encoded) {
    count({.xbzrle = 1, .xbzrle_bytes = format::xbzrle_head_bytes + encoded.size()});
    if (!decode_xbzrle(encoded, scratch_.data())) {
        return fail(ErrorCode::stream_corrupt, fmt::format("the delta to offset 0x{:x} of RAM block \"{}\" is damaged",
                                                           offset.value(), blocks_[selected_].id));
    }
    Status inside = check(offset);
    return inside && next_ != nullptr ? next_->xbzrle_page(offset, encoded) : inside;
}

}  // namespace godwit
