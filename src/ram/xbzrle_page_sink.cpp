#include "ram/xbzrle_page_sink.h"

#include <cstring>
#include <utility>

#include "ram/live_page.h"
#include "ram/xbzrle.h"
#include "stream/format.h"

namespace godwit {

XbzrlePageSink::XbzrlePageSink(StreamPageSink& plain, const GuestMemory& memory, XbzrleCache cache)
    : plain_(plain), cache_(std::move(cache)) {
    std::uint64_t pages = 0;
    for (const RamBlock& block : memory.blocks()) {
        first_page_.push_back(pages);
        pages += pages_in(block.size).value();
    }
}

ByteCount XbzrlePageSink::put_zero_page(std::size_t block, PageNumber page) {
    if (std::byte* cached = cache_.find(number_of(block, page), pass_); cached != nullptr) {
        std::memset(cached, 0, page_bytes);
    }
    return plain_.put_zero_page(block, page);
}

PutPage XbzrlePageSink::put_page(std::size_t block, PageNumber page, const std::byte* host) {
    std::byte* const cached = cache_.find(number_of(block, page), pass_);
    if (cached == nullptr) {
        ++cache_misses_;
        return put_uncached(block, page, host);
    }
    if (!last_pass_) {
        copy_live_page(host, copy_.data());
        host = copy_.data();
    }
    const std::optional<std::size_t> length = encode_xbzrle(cached, host, delta_);
    if (length == std::size_t{0}) {
        ++unchanged_pages_;
        return {.queued = ByteCount(0), .whole = false};
    }
    if (!last_pass_) {
        std::memcpy(cached, host, page_bytes);
        host = cached;  // it stays until the page is sent again
    }
    if (!length) {
        ++overflows_;
        return plain_.put_page(block, page, host);
    }
    ++delta_pages_;
    delta_bytes_ += format::xbzrle_head_bytes + *length;
    return plain_.put_delta(block, page, ConstBuffer(delta_).first(*length));
}

PutPage XbzrlePageSink::put_uncached(std::size_t block, PageNumber page, const std::byte* host) {
    std::byte* const place = last_pass_ ? nullptr : cache_.insert(number_of(block, page), pass_);
    if (place != nullptr) {
        copy_live_page(host, place);
        host = place;
    }
    return plain_.put_page(block, page, host);
}

}  // namespace godwit
