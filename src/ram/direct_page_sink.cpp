#include "ram/direct_page_sink.h"

#include "stream/format.h"

namespace godwit {

void DirectPageSink::open(std::span<const RamBlock> blocks, bool pin_all) {
    begin_pages();
    if (writer_.ok()) {
        take(sender_.open(blocks, pin_all, writer_.next_deadline()));
    }
    end_pages();
}

ByteCount DirectPageSink::put_zero_page(std::size_t block, PageNumber page) {
    sender_.put_zero_page(block, page);
    return ByteCount(0);
}

PutPage DirectPageSink::put_page(std::size_t block, PageNumber page, const std::byte* host) {
    (void)host;  // the sender knows the blocks
    sender_.put_page(block, page);
    return {.queued = ByteCount(page_bytes), .whole = true};
}

void DirectPageSink::flush() {
    if (writer_.ok()) {
        take(sender_.push(writer_.next_deadline()));
    }
}

void DirectPageSink::begin_pages() {
    writer_.put_u64(format::ram_flag::direct);
    writer_.flush();
}

void DirectPageSink::end_pages() {
    if (writer_.ok()) {
        take(sender_.end_round(writer_.next_deadline()));
    }
}

void DirectPageSink::take(const Status& status) {
    if (!status) {
        writer_.set_error(status.error());
    }
}

}  // namespace godwit
