#include "ram/saver.h"

#include <algorithm>

#include "ram/zero_page.h"
#include "stream/format.h"

namespace godwit {
namespace {

/// Bytes of a record for a whole page, the block's name aside.
constexpr ByteCount page_record(8 + page_bytes);
/// Pages with data that are handled in one call at most: pages that turn out to be unchanged queue nothing, and the
/// caller wants to look at the clock.
constexpr std::uint64_t pages_per_call = 16 * 1024;
/// Pages of zeros are quickly done, mostly as holes.
constexpr std::uint64_t zeros_per_page = 16;
/// The search for zeros begins with a page's first bytes, which would be waited for.
constexpr std::size_t prefetch_pages = 4;

}  // namespace

RamSaver::RamSaver(const GuestMemory& memory, DirtySource& dirty) : memory_(memory), dirty_(dirty) {
    for (const RamBlock& block : memory_.blocks()) {
        GODWIT_ASSERT(block.size.value() % page_bytes == 0 && block.size.value() > 0 && !block.id.empty() &&
                          block.id.size() <= 255,
                      "RAM block \"{}\" of {} bytes: a block has whole pages and a name of 1 to 255 bytes", block.id,
                      block.size.value());
        bitmaps_.emplace_back(pages_in(block.size));
        total_bytes_ += block.size.value();
    }
    skips_zeros_.resize(bitmaps_.size(), false);
}

void RamSaver::mark_all() {
    for (PageBitmap& bitmap : bitmaps_) {
        bitmap.set_all();
    }
    remaining_pages_ = total_bytes_ / page_bytes;
    first_pass_ = true;
    rewind();
}

Result<PageCount> RamSaver::collect() {
    const std::uint64_t before = remaining_pages_;
    std::uint64_t now = 0;
    for (std::size_t i = 0; i < bitmaps_.size(); ++i) {
        if (Status collected = dirty_.collect(i, bitmaps_[i].words()); !collected) {
            return fail(collected.error());
        }
        bitmaps_[i].trim();
        now += bitmaps_[i].count().value();
    }
    GODWIT_ASSERT(now >= before, "the dirty source took pages away: {} before, {} after", before, now);
    remaining_pages_ = now;
    return PageCount(now - before);
}

Result<ByteCount> RamSaver::send(PageSink& sink, ByteCount budget) {
    ByteCount sent;
    const auto looked_at = [&] {
        return normal_pages() + delta_pages() + (skipped_pages() + zero_pages()) / zeros_per_page;
    };
    const std::uint64_t before = looked_at();
    while (!pass_done() && sent < budget && looked_at() - before < pages_per_call) {
        const PageBitmap& bitmap = bitmaps_[block_];
        const PageNumber found = bitmap.next_set(next_);
        if (found.value() == bitmap.size().value()) {
            ++block_;
            next_ = PageNumber(0);
            data_.end = PageNumber(0);
            continue;
        }
        // Marks are cleared in whole words; a small budget clears few that it will not send.
        const std::uint64_t first = found.value() / 64 * 64;
        const std::uint64_t affordable = ((budget - sent).value() / page_record.value() + 63) / 64 * 64;
        const std::uint64_t pages = std::clamp<std::uint64_t>(affordable, 64, chunk_pages);
        const PageNumber end(std::min(first + pages, bitmap.size().value()));
        Result<ByteCount> chunk = send_chunk(sink, found, end, budget - sent);
        if (!chunk) {
            return chunk;
        }
        sent += *chunk;
    }
    return sent;
}

Status RamSaver::clear_marks(PageNumber first, PageNumber end) {
    const std::uint64_t first_word = first.value() / 64;
    const std::uint64_t end_word = (end.value() + 63) / 64;
    return dirty_.clear(block_, PageNumber(first_word * 64),
                        bitmaps_[block_].words().subspan(first_word, end_word - first_word));
}

Result<ByteCount> RamSaver::send_chunk(PageSink& sink, PageNumber first, PageNumber end, ByteCount budget) {
    if (Status cleared = clear_marks(first, end); !cleared) {
        return fail(cleared.error());
    }
    PageBitmap& bitmap = bitmaps_[block_];
    const RamBlock& block = memory_.blocks()[block_];
    // Asked anew after the marks are cleared: data that comes to a hole later sets a new mark. Data may as well be
    // known from before.
    Extent extent = data_;
    std::uint64_t zeros = 0;
    const bool skip = first_pass_ && skips_zeros_[block_];
    std::uint64_t skipped = 0;
    std::uint64_t whole = 0;
    std::uint64_t deltas = 0;
    ByteCount sent;
    next_ = end;
    for (PageNumber page = bitmap.next_set(first); page < end; page = bitmap.next_set(page)) {
        if (page >= extent.end) {
            extent = memory_.extent_at(block_, page);
            GODWIT_ASSERT(extent.end > page, "extent_at gave an empty extent for page {}", page.value());
            data_.end = extent.hole ? PageNumber(0) : extent.end;
        }
        if (sent >= budget) {
            next_ = page;
            break;
        }
        bitmap.reset(page);
        const std::byte* host = block.host + offset_of(page).value();
        __builtin_prefetch(host + prefetch_pages * page_bytes);  // of memory that is not there it does nothing
        if (extent.hole || is_zero_page(host)) {
            if (skip) {
                ++skipped;
                continue;
            }
            sent += sink.put_zero_page(block_, page);
            ++zeros;
        } else {
            const PutPage put = sink.put_page(block_, page, host);
            sent += put.queued;
            ++(put.whole ? whole : deltas);
        }
    }
    remaining_pages_ -= skipped + zeros + whole + deltas;
    skipped_pages_ += skipped;
    zero_pages_ += zeros;
    normal_pages_ += whole;
    delta_pages_ += deltas;
    return sent;
}

void RamSaver::put_block_list(StreamWriter& writer) const {
    writer.put_u64(total_bytes_ | format::ram_flag::mem_size);
    for (const RamBlock& block : memory_.blocks()) {
        writer.put_string8(block.id);
        writer.put_u64(block.size.value());
    }
}

}  // namespace godwit
