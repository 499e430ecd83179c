#include "ram/stream_page_sink.h"

#include "stream/format.h"

namespace godwit {
ByteCount StreamPageSink::put_head(std::size_t block, PageNumber page, std::uint64_t flags) {
    if (block_ == block) {
        writer_.put_u64(offset_of(page).value() | flags | format::ram_flag::same_block);
        return ByteCount(8);
    }
    writer_.put_u64(offset_of(page).value() | flags);
    writer_.put_string8(memory_.blocks()[block].id);
    block_ = block;
    return ByteCount(8 + 1 + memory_.blocks()[block].id.size());
}

ByteCount StreamPageSink::put_zero_page(std::size_t block, PageNumber page) {
    end_run();
    const ByteCount head = put_head(block, page, format::ram_flag::zero);
    writer_.put_u8(0);
    return head + ByteCount(1);
}

PutPage StreamPageSink::put_page(std::size_t block, PageNumber page, const std::byte* host) {
    if (!runs_) {
        const ByteCount head = put_head(block, page, format::ram_flag::page);
        writer_.put_reference({host, page_bytes});
        return {.queued = head + ByteCount(page_bytes), .whole = true};
    }
    if (run_.continues(block, page, host)) {
        ++run_.count;
        return {.queued = ByteCount(page_bytes), .whole = true};
    }
    end_run();
    run_ = {.block = block, .first = page, .host = host, .count = 1};
    return {.queued = ByteCount(format::run_head_bytes + page_bytes), .whole = true};
}

void StreamPageSink::end_run() {
    if (run_.count == 0) {
        return;
    }
    put_head(run_.block, run_.first, format::ram_flag::page_run);
    writer_.put_u32(run_.count);
    writer_.put_reference({run_.host, run_.count * page_bytes});
    run_.count = 0;
}

void StreamPageSink::flush() {
    end_run();
    writer_.flush();
}

PutPage StreamPageSink::put_delta(std::size_t block, PageNumber page, ConstBuffer delta) {
    end_run();
    const ByteCount head = put_head(block, page, format::ram_flag::xbzrle);
    writer_.put_u8(format::xbzrle_encoding);
    writer_.put_u16(static_cast<std::uint16_t>(delta.size()));
    writer_.put_bytes(delta);
    return {.queued = head + ByteCount(3 + delta.size()), .whole = false};
}

}  // namespace godwit
