#pragma once

#include <optional>

#include "godwit/guest_memory.h"
#include "ram/page_sink.h"
#include "stream/writer.h"

namespace godwit {

/// Sends pages as records in the stream. The block's name travels only when it changes.
class StreamPageSink : public PageSink {
public:
    StreamPageSink(StreamWriter& writer, const GuestMemory& memory) : writer_(writer), memory_(memory) {}

    ByteCount put_zero_page(std::size_t block, PageNumber page) override;
    PutPage put_page(std::size_t block, PageNumber page, const std::byte* host) override;
    /// The page as an XBZRLE delta to what was sent before; it is copied.
    PutPage put_delta(std::size_t block, PageNumber page, ConstBuffer delta);
    void flush() override { writer_.flush(); }

private:
    /// Returns its size.
    ByteCount put_head(std::size_t block, PageNumber page, std::uint64_t flags);

    StreamWriter& writer_;
    const GuestMemory& memory_;
    std::optional<std::size_t> block_;
};

}  // namespace godwit
