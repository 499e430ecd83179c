#pragma once

#include <cstddef>

#include "godwit/units.h"

namespace godwit {

/// What became of a page.
struct PutPage {
    /// What it takes in the stream; 0 when the destination has it as it is.
    ByteCount queued;
    /// All of its bytes are sent.
    bool whole = true;
};

/// Where the pages of a source go. The saver decides what leaves and when; the sink knows how: as records in the
/// stream, or by another way. Called by the migration thread. Errors show in the stream that the sink belongs to.
class PageSink {
public:
    virtual ~PageSink() = default;
    /// The page reads as zeros. Returns the bytes queued.
    virtual ByteCount put_zero_page(std::size_t block, PageNumber page) = 0;
    /// `page` is read no later than at the end of the section.
    virtual PutPage put_page(std::size_t block, PageNumber page, const std::byte* host) = 0;
    virtual void flush() = 0;

    /// Pages follow in the section that has been begun, and no more of them do.
    virtual void begin_pages() {}
    virtual void end_pages() { flush(); }
};

}  // namespace godwit
