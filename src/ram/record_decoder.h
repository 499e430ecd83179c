#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "godwit/units.h"
#include "stream/reader.h"

namespace godwit {

/// Where a page's bytes go, and how many of the pages after it (contiguous in this process) may be overwritten before
/// their records have been seen: a bet that the sender goes on in order.
struct PageTarget {
    std::byte* host = nullptr;
    std::size_t pages_ahead = 0;
};

/// Gets the records of RAM sections, in order. An error ends the decoding. Names and offsets come as the stream has
/// them.
class RamRecordVisitor {
public:
    virtual ~RamRecordVisitor() = default;
    /// One entry of the block list of the START section.
    virtual Status listed_block(const std::string& id, ByteCount used_length) = 0;
    /// The following records belong to this block.
    virtual Status select_block(const std::string& id) = 0;
    virtual Status zero_page(BlockOffset offset, std::uint8_t fill) = 0;
    virtual Result<PageTarget> page_target(BlockOffset offset) = 0;
    /// Begins a run of pages under one head.
    virtual void run_begins(PageCount) {}
    /// The stream says that `announced` pages come from `offset` on. Of those after the first as many are read at once
    /// as `pages_ahead` says, which is then no bet; for the rest it is asked again.
    virtual Result<PageTarget> run_target(BlockOffset offset, PageCount announced);
    /// `count` pages from `offset` have arrived where `page_target` said.
    virtual Status pages_arrived(BlockOffset offset, PageCount count) = 0;
    /// The bet was lost: these pages were overwritten, and no record named them.
    virtual Status overwritten_ahead(BlockOffset offset, PageCount count) = 0;
    /// Pages are now written past the stream; it goes on when they have arrived. Where there is no such way it is
    /// `stream_corrupt`.
    virtual Status direct_pages();
    /// A delta to the page that was sent last; spec of the encoding in `docs/stream.md`.
    virtual Status xbzrle_page(BlockOffset offset, ConstBuffer encoded) = 0;
};

/// Reads the records of RAM sections; one decoder lives as long as the stream, since the current block carries over
/// from one section to the next.
class RamRecordDecoder {
public:
    /// Reads up to and including the end-of-section record.
    Status decode_section(StreamReader& reader, RamRecordVisitor& visitor);

private:
    Status decode_block_list(StreamReader& reader, RamRecordVisitor& visitor, ByteCount total);
    Status decode_direct_pages(StreamReader& reader, RamRecordVisitor& visitor);
    Status decode_page_record(std::uint64_t head, StreamReader& reader, RamRecordVisitor& visitor);
    Status decode_pages(BlockOffset offset, StreamReader& reader, RamRecordVisitor& visitor);
    Status decode_page_run(BlockOffset offset, StreamReader& reader, RamRecordVisitor& visitor);
    Status decode_xbzrle(BlockOffset offset, StreamReader& reader, RamRecordVisitor& visitor);
    Status select_block(std::uint64_t head, StreamReader& reader, RamRecordVisitor& visitor);

    bool block_selected_ = false;
    std::vector<std::byte> delta_;
};

}  // namespace godwit
