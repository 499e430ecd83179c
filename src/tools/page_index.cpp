#include "tools/page_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "ram/xbzrle.h"

namespace godwit {
namespace {

using Entry = PageIndex::Entry;

std::uint64_t packed(Entry entry) {
    return entry.value << 2U | static_cast<std::uint64_t>(entry.kind);
}

Entry unpacked(std::uint64_t word) {
    return {static_cast<Entry::Kind>(word & 3U), word >> 2U};
}

std::uint64_t page_of(BlockOffset offset) {
    return offset.value() / page_bytes;
}

}  // namespace

Status PageIndex::noted(Status status) {
    if (!status) {
        obstacle_ = status.error();
    }
    return status;
}

Status PageIndex::listed_block(const std::string& id, ByteCount used_length) {
    blocks_.push_back({id, used_length});
    groups_.emplace_back();
    sent_.push_back(0);
    return {};
}

Status PageIndex::select_block(const std::string& id) {
    const auto found = std::find_if(blocks_.begin(), blocks_.end(), [&](const Block& block) { return block.id == id; });
    selected_ = static_cast<std::size_t>(found - blocks_.begin());
    recent_ = {0, nullptr};
    return found != blocks_.end() ? Status() : listed_block(id, ByteCount(0));
}

Result<std::uint64_t*> PageIndex::place(BlockOffset offset) {
    const std::uint64_t page = page_of(offset);
    const std::uint64_t number = page / group_pages;
    if (recent_.second == nullptr || recent_.first != number) {
        std::unique_ptr<Group>& group = groups_[selected_][number];
        if (!group) {
            if (group_count_ == max_pages / group_pages) {
                return fail(
                    noted(fail(ErrorCode::unsupported,
                               fmt::format("the stream has pages in more than {} places of memory", group_count_)))
                        .error());
            }
            ++group_count_;
            group = std::make_unique<Group>();
        }
        recent_ = {number, group.get()};
    }
    return &(*recent_.second)[page % group_pages];
}

Status PageIndex::put(BlockOffset offset, Entry entry) {
    const Result<std::uint64_t*> word = place(offset);
    if (!word) {
        return fail(word.error());
    }
    sent_[selected_] += **word == 0 ? 1U : 0U;
    **word = packed(entry);
    return {};
}

Status PageIndex::zero_page(BlockOffset offset, std::uint8_t fill) {
    return put(offset, {Entry::Kind::constant, fill});
}

Result<PageTarget> PageIndex::page_target(BlockOffset) {
    return PageTarget{scratch_.data(), 0};
}

Status PageIndex::pages_arrived(BlockOffset offset, PageCount) {
    return put(offset, {Entry::Kind::in_stream, reader_->position() - page_bytes});
}

Status PageIndex::xbzrle_page(BlockOffset offset, ConstBuffer encoded) {
    const Result<std::uint64_t*> word = place(offset);
    if (!word) {
        return fail(word.error());
    }
    const Entry before = unpacked(**word);
    if (before.kind == Entry::Kind::never_sent) {
        return fail(ErrorCode::stream_corrupt,
                    fmt::format("a delta to page {} of RAM block \"{}\", which was never sent", page_of(offset),
                                blocks_[selected_].id));
    }
    if (spill_ == nullptr) {
        return {};
    }
    if (Status read = noted(read_page(*spill_, before, scratch_)); !read) {
        return read;
    }
    if (!decode_xbzrle(encoded, scratch_.data())) {
        return fail(ErrorCode::stream_corrupt, fmt::format("the delta to page {} of RAM block \"{}\" is damaged",
                                                           page_of(offset), blocks_[selected_].id));
    }
    if (before.kind == Entry::Kind::in_spill) {
        return noted(spill_->replace(before.value, scratch_));
    }
    const Result<std::uint64_t> at = spill_->add(scratch_);
    if (!at) {
        return noted(fail(at.error()));
    }
    **word = packed({Entry::Kind::in_spill, *at});
    return {};
}

Entry PageIndex::entry(std::size_t block, PageNumber page) const {
    const auto found = groups_[block].find(page.value() / group_pages);
    return found == groups_[block].end() ? Entry() : unpacked((*found->second)[page.value() % group_pages]);
}

std::optional<PageNumber> PageIndex::next_group(std::size_t block, PageNumber page) const {
    const auto found = groups_[block].lower_bound(page.value() / group_pages);
    return found == groups_[block].end() ? std::nullopt : std::optional(PageNumber(found->first * group_pages));
}

Status read_page(const PageSpill& spill, PageIndex::Entry entry, std::span<std::byte, page_bytes> page) {
    switch (entry.kind) {
        case Entry::Kind::in_stream:
            return spill.read_stream(entry.value, page);
        case Entry::Kind::in_spill:
            return spill.read_spill(entry.value, page);
        case Entry::Kind::never_sent:
        case Entry::Kind::constant:
            break;
    }
    std::memset(page.data(), static_cast<int>(entry.value), page.size());
    return {};
}

}  // namespace godwit
