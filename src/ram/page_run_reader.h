#pragma once

#include "godwit/units.h"
#include "ram/record_decoder.h"
#include "stream/reader.h"

namespace godwit {

/// Most pages that are read ahead of their records.
inline constexpr std::size_t max_pages_ahead = 128;

struct PageRun {
    /// Pages that arrived, the named one first.
    PageCount arrived;
    /// Pages after them that were overwritten without a record that names them.
    PageCount overwritten;
};

/// Reads the page at `offset`, whose record head has been consumed, and bets that pages in order follow: one gathered
/// read puts [page][head][page][head]... where each belongs, without a copy in between. Where the bet fails, what was
/// read is put back into the reader. Errors stick in the reader; pages that arrived before the error are counted.
PageRun read_page_run(BlockOffset offset, const PageTarget& target, StreamReader& reader);

}  // namespace godwit
