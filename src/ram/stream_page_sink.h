#pragma once

#include <optional>

#include "godwit/guest_memory.h"
#include "ram/page_sink.h"
#include "stream/format.h"
#include "stream/writer.h"

namespace godwit {

/// Sends pages as records in the stream. The block's name travels only when it changes. A run of pages in order can
/// travel under one head: with a head of eight bytes before each page the kernel copies most of them to places that are
/// not aligned, and twice as many pieces.
class StreamPageSink : public PageSink {
public:
    StreamPageSink(StreamWriter& writer, const GuestMemory& memory) : writer_(writer), memory_(memory) {}

    /// The destination knows `page_run`.
    void allow_runs() { runs_ = true; }

    ByteCount put_zero_page(std::size_t block, PageNumber page) override;
    PutPage put_page(std::size_t block, PageNumber page, const std::byte* host) override;
    /// The page as an XBZRLE delta to what was sent before; it is copied.
    PutPage put_delta(std::size_t block, PageNumber page, ConstBuffer delta);
    void flush() override;

private:
    /// Pages that follow each other in the block and in this process, whose record is still to be written.
    struct Run {
        std::size_t block = 0;
        PageNumber first;
        const std::byte* host = nullptr;
        std::uint32_t count = 0;

        bool continues(std::size_t next_block, PageNumber page, const std::byte* next_host) const {
            return count > 0 && count < format::max_run_pages && block == next_block &&
                   page.value() == first.value() + count && next_host == host + count * page_bytes;
        }
    };

    /// Returns its size.
    ByteCount put_head(std::size_t block, PageNumber page, std::uint64_t flags);
    void end_run();

    StreamWriter& writer_;
    const GuestMemory& memory_;
    std::optional<std::size_t> block_;
    bool runs_ = false;
    Run run_;
};

}  // namespace godwit
