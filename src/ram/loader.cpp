#include "ram/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/printable.h"
#include "ram/page_run_reader.h"
#include "ram/xbzrle.h"
#include "stream/format.h"

namespace godwit {
namespace {

/// A run of zero pages is handed over before it is longer: the memory looks at them while the source looks for more.
constexpr PageCount max_zero_run(2048);

}  // namespace

RamLoader::RamLoader(GuestMemory& memory) : memory_(memory) {
    for (const RamBlock& ram_block : memory_.blocks()) {
        blocks_.push_back(Block{false, PageBitmap(pages_in(ram_block.size)), PageBitmap(pages_in(ram_block.size))});
    }
}

Status RamLoader::load_section(StreamReader& reader) {
    Status decoded = decoder_.decode_section(reader, *this);
    Status ended = end_section();
    return decoded ? ended : decoded;
}

Status RamLoader::listed_block(const std::string& id, ByteCount used_length) {
    const Result<std::size_t> found = find_block(id, used_length);
    if (!found) {
        return fail(found.error());
    }
    blocks_[*found].listed = true;
    return {};
}

Result<std::size_t> RamLoader::find_block(std::string_view id, ByteCount size) {
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
        const RamBlock& ram_block = memory_.blocks()[i];
        if (ram_block.id != id) {
            continue;
        }
        if (ram_block.size == size) {
            return i;
        }
        return fail(ErrorCode::ram_mismatch,
                    fmt::format("RAM block \"{}\" has {} bytes at the source and {} bytes here", printable(id),
                                size.value(), ram_block.size.value()),
                    "give both sides the same amount of memory");
    }
    return fail(ErrorCode::ram_mismatch, fmt::format("RAM block \"{}\" does not exist here", printable(id)),
                "use the same machine type and memory options on both sides");
}

Status RamLoader::select_block(const std::string& id) {
    if (Status flushed = flush_zero_run(); !flushed) {
        return flushed;
    }
    const std::span<const RamBlock> all = memory_.blocks();
    const auto found = std::find_if(all.begin(), all.end(), [&](const RamBlock& b) { return b.id == id; });
    if (found == all.end()) {
        return fail(ErrorCode::ram_mismatch, fmt::format("RAM block \"{}\" does not exist here", id),
                    "use the same machine type and memory options on both sides");
    }
    selected_ = static_cast<std::size_t>(found - all.begin());
    run_pages_ = 0;
    return {};
}

Status RamLoader::check_offset(BlockOffset offset) const {
    // Offsets are page aligned by construction: their low bits were the flags.
    if (offset.value() >= block().size.value()) {
        return fail(ErrorCode::stream_corrupt, fmt::format("offset 0x{:x} is outside RAM block \"{}\" of 0x{:x} bytes",
                                                           offset.value(), block().id, block().size.value()));
    }
    return {};
}

Status RamLoader::zero_page(BlockOffset offset, std::uint8_t fill) {
    if (Status inside = check_offset(offset); !inside) {
        return inside;
    }
    ++zero_pages_;
    const PageNumber page = page_at(offset);
    if (fill != 0) {
        // Streams of old senders may repeat any byte.
        if (Status flushed = flush_zero_run(); !flushed) {
            return flushed;
        }
        std::memset(block().host + offset.value(), fill, page_bytes);
        blocks_[selected_].received.set(page);
        return {};
    }
    const bool known_zero =
        block().fresh && !blocks_[selected_].received.test(page) && !blocks_[selected_].lost.test(page);
    blocks_[selected_].received.set(page);
    if (known_zero) {
        return {};
    }
    if (zero_run_count_.value() > 0 && zero_run_first_.value() + zero_run_count_.value() == page.value()) {
        zero_run_count_ += PageCount(1);
        return zero_run_count_ < max_zero_run ? Status() : flush_zero_run();
    }
    if (Status flushed = flush_zero_run(); !flushed) {
        return flushed;
    }
    zero_run_first_ = page;
    zero_run_count_ = PageCount(1);
    return {};
}

Status RamLoader::flush_zero_run() {
    if (zero_run_count_.value() == 0) {
        return {};
    }
    const PageCount count = zero_run_count_;
    zero_run_count_ = PageCount(0);
    return memory_.make_zero(selected_, zero_run_first_, count);
}

std::size_t RamLoader::pages_ahead(PageNumber page) const {
    const PageBitmap& received = blocks_[selected_].received;
    const std::uint64_t bet = page == run_end_ ? std::clamp<std::uint64_t>(run_pages_, 1, max_pages_ahead) : 0;
    const std::uint64_t last = std::min(page.value() + bet, received.size().value() - 1);
    std::size_t free_pages = 0;
    while (page.value() + free_pages < last && !received.test(PageNumber(page.value() + free_pages + 1))) {
        ++free_pages;
    }
    return free_pages;
}

Result<PageTarget> RamLoader::page_target(BlockOffset offset) {
    if (Status inside = check_offset(offset); !inside) {
        return fail(inside.error());
    }
    if (Status flushed = flush_zero_run(); !flushed) {
        return fail(flushed.error());
    }
    return PageTarget{block().host + offset.value(), pages_ahead(page_at(offset))};
}

Result<PageTarget> RamLoader::run_target(BlockOffset offset, PageCount announced) {
    if (Status inside = check_offset(offset); !inside) {
        return fail(inside.error());
    }
    if (announced.value() > blocks_[selected_].received.size().value() - page_at(offset).value()) {
        return fail(ErrorCode::stream_corrupt,
                    fmt::format("a run of {} pages from offset 0x{:x} goes beyond RAM block \"{}\" of 0x{:x} bytes",
                                announced.value(), offset.value(), block().id, block().size.value()));
    }
    if (Status flushed = flush_zero_run(); !flushed) {
        return fail(flushed.error());
    }
    return PageTarget{block().host + offset.value(), announced.value() - 1};
}

Status RamLoader::pages_arrived(BlockOffset offset, PageCount count) {
    const PageNumber first = page_at(offset);
    for (std::uint64_t i = 0; i < count.value(); ++i) {
        blocks_[selected_].received.set(PageNumber(first.value() + i));
    }
    normal_pages_ += count.value();
    run_pages_ = (first == run_end_ ? run_pages_ : 0) + count.value();
    run_end_ = PageNumber(first.value() + count.value());
    return {};
}

Status RamLoader::overwritten_ahead(BlockOffset offset, PageCount count) {
    for (std::uint64_t i = 0; i < count.value(); ++i) {
        blocks_[selected_].lost.set(PageNumber(page_at(offset).value() + i));
    }
    return {};
}

Status RamLoader::finish() {
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
        if (!blocks_[i].listed) {
            return fail(ErrorCode::ram_mismatch,
                        fmt::format("the stream has no RAM block \"{}\"", memory_.blocks()[i].id),
                        "use the same machine type and memory options on both sides");
        }
        const PageBitmap& lost = blocks_[i].lost;
        for (PageNumber page = lost.next_set(PageNumber(0)); page.value() < lost.size().value();
             page = lost.next_set(PageNumber(page.value() + 1))) {
            if (blocks_[i].received.test(page)) {
                continue;
            }
            if (!memory_.blocks()[i].fresh) {
                return fail(ErrorCode::stream_corrupt, fmt::format("page {} of RAM block \"{}\" was never sent",
                                                                   page.value(), memory_.blocks()[i].id));
            }
            if (Status zeroed = memory_.make_zero(i, page, PageCount(1)); !zeroed) {
                return zeroed;
            }
        }
    }
    return {};
}

Status RamLoader::xbzrle_page(BlockOffset offset, ConstBuffer encoded) {
    if (Status inside = check_offset(offset); !inside) {
        return inside;
    }
    // It may be one of those that the run is about to make zeros.
    if (Status flushed = flush_zero_run(); !flushed) {
        return flushed;
    }
    if (!blocks_[selected_].received.test(page_at(offset))) {
        return fail(ErrorCode::stream_corrupt,
                    fmt::format("a delta to page {} of RAM block \"{}\", which was never sent", page_at(offset).value(),
                                block().id));
    }
    if (!decode_xbzrle(encoded, block().host + offset.value())) {
        return fail(ErrorCode::stream_corrupt, fmt::format("the delta to page {} of RAM block \"{}\" is damaged",
                                                           page_at(offset).value(), block().id));
    }
    ++delta_pages_;
    delta_bytes_ += format::xbzrle_head_bytes + encoded.size();
    return {};
}

}  // namespace godwit
