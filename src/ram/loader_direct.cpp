// What a source does to the destination's memory past the stream.
#include <cstring>

#include "base/assert.h"
#include "ram/loader.h"
#include "ram/zero_page.h"

namespace godwit {

Status RamLoader::direct_pages() {
    if (direct_ == nullptr) {
        return RamRecordVisitor::direct_pages();
    }
    if (Status flushed = flush_zero_run(); !flushed) {
        return flushed;
    }
    if (Status served = direct_->serve_round(*this); !served) {
        return served;
    }
    return flush_zero_run();
}

void RamLoader::exposed(std::size_t block, PageNumber first, PageCount count) {
    for (std::uint64_t i = 0; i < count.value(); ++i) {
        blocks_[block].received.set(PageNumber(first.value() + i));
    }
}

Status RamLoader::zero_pages(std::size_t block, PageNumber first, PageCount count, bool registered) {
    GODWIT_ASSERT(first.value() + count.value() <= blocks_[block].received.size().value(),
                  "pages {}+{} of RAM block {} do not exist", first.value(), count.value(), block);
    zero_pages_ += count.value();
    PageNumber start = first;  // of those before `page` that have to be made zeros
    const PageNumber end(first.value() + count.value());
    for (PageNumber page = first; page < end; page += PageNumber(1)) {
        if (registered) {
            fill_with_zeros(block, page);
            continue;
        }
        const bool known_zero =
            memory_.blocks()[block].fresh && !blocks_[block].received.test(page) && !blocks_[block].lost.test(page);
        blocks_[block].received.set(page);
        if (!known_zero) {
            continue;
        }
        if (page > start) {
            if (Status made = memory_.make_zero(block, start, PageCount((page - start).value())); !made) {
                return made;
            }
        }
        start = page + PageNumber(1);
    }
    if (registered || start == end) {
        return {};
    }
    return memory_.make_zero(block, start, PageCount((end - start).value()));
}

/// `make_zero` may give a page back to the system, and the next access would get another one than the device writes to.
void RamLoader::fill_with_zeros(std::size_t block, PageNumber page) {
    std::byte* host = memory_.blocks()[block].host + offset_of(page).value();
    if (!is_zero_page(host)) {
        std::memset(host, 0, page_bytes);
    }
}

}  // namespace godwit
