#pragma once

#include <cstddef>

#include "godwit/guest_memory.h"
#include "godwit/units.h"

namespace godwit {

/// Where a mapped file has data, found without reading it: reading a hole of a file on tmpfs would fill it. `host` is
/// where page 0 of the file is mapped in this process, `end` the number of its pages.
///
/// A page is told to be in a hole only if all of it is. Where the file system does not know, everything is data. A run
/// of data may be told in pieces (of up to `max_data_extent_pages`), because its end is costly to find: SEEK_HOLE takes
/// 10 ms per GiB on tmpfs. The piece is what mincore() says is in memory.
Extent file_extent_at(int descriptor, std::byte* host, PageNumber page, PageNumber end);

inline constexpr PageCount max_data_extent_pages(2048);

/// The first page at or after `page` that may hold data; `end` when there is none before it.
PageNumber next_file_data(int descriptor, PageNumber page, PageNumber end);

}  // namespace godwit
