#pragma once

#include "godwit/direct_pages.h"
#include "ram/page_sink.h"
#include "stream/writer.h"

namespace godwit {

/// Sends pages past the stream, where the channel offers that: the stream says that they come and is then silent until
/// they have arrived. Failures become the stream's.
class DirectPageSink : public PageSink {
public:
    DirectPageSink(DirectPageSender& sender, StreamWriter& writer) : sender_(sender), writer_(writer) {}

    /// Within the first section: makes both sides ready, as `DirectPageSender::open` says.
    void open(std::span<const RamBlock> blocks, bool pin_all);

    /// It costs next to nothing: 0.
    ByteCount put_zero_page(std::size_t block, PageNumber page) override;
    PutPage put_page(std::size_t block, PageNumber page, const std::byte* host) override;
    void flush() override;
    void begin_pages() override;
    void end_pages() override;

private:
    void take(const Status& status);

    DirectPageSender& sender_;
    StreamWriter& writer_;
};

}  // namespace godwit
