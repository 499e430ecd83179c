#include "io/page_extents.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

namespace godwit {

namespace {

/// How many pages from `page` on are in memory, up to a limit. Looks at few pages first: where data and holes
/// alternate, looking far ahead every time would be quadratic.
PageNumber pages_in_memory(std::byte* host, PageNumber page, PageNumber end) {
    const std::uint64_t limit = std::min((end - page).value(), max_data_extent_pages.value());
    std::array<unsigned char, max_data_extent_pages.value()> flags;
    std::uint64_t found = 0;
    for (std::uint64_t window = 16; found < limit; window *= 8) {
        const std::uint64_t count = std::min(window, limit - found);
        if (::mincore(host + offset_of(page).value() + found * page_bytes, count * page_bytes, flags.data()) != 0) {
            break;
        }
        std::uint64_t present = 0;
        while (present < count && (flags[present] & 1) != 0) {
            ++present;
        }
        found += present;
        if (present < count) {
            break;
        }
    }
    return PageNumber(found);
}

}  // namespace

PageNumber next_file_data(int descriptor, PageNumber page, PageNumber end) {
    // This moves the file position, which nobody uses: so threads do not disturb each other.
    const off_t data = ::lseek(descriptor, static_cast<off_t>(offset_of(page).value()), SEEK_DATA);
    if (data < 0) {
        // ENXIO: no data up to the end of the file. Anything else: the file system cannot tell.
        return errno == ENXIO ? end : page;
    }
    return std::clamp(page_at(BlockOffset(static_cast<std::uint64_t>(data))), page, end);
}

Extent file_extent_at(int descriptor, std::byte* host, PageNumber page, PageNumber end) {
    const PageNumber data = next_file_data(descriptor, page, end);
    if (data > page) {
        return Extent{true, data};
    }
    // Data up to the first page that is not in memory: that one is in a hole, or has to be fetched.
    return Extent{false, page + std::max(PageNumber(1), pages_in_memory(host, page, end))};
}

}  // namespace godwit
