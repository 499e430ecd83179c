#include "ram/stream_page_sink.h"

#include "stream/format.h"

namespace godwit {

void StreamPageSink::put_head(std::size_t block, PageNumber page, std::uint64_t flags) {
    if (block_ == block) {
        writer_.put_u64(offset_of(page).value() | flags | format::ram_flag::same_block);
        return;
    }
    writer_.put_u64(offset_of(page).value() | flags);
    writer_.put_string8(memory_.blocks()[block].id);
    block_ = block;
}

void StreamPageSink::put_zero_page(std::size_t block, PageNumber page) {
    put_head(block, page, format::ram_flag::zero);
    writer_.put_u8(0);
}

void StreamPageSink::put_page(std::size_t block, PageNumber page, const std::byte* host) {
    put_head(block, page, format::ram_flag::page);
    writer_.put_reference({host, page_bytes});
}

}  // namespace godwit
