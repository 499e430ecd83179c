#pragma once

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/userfaultfd.h>

#include <cstdint>

namespace godwit {

/// What Linux 6.7 added to userfaultfd and to /proc/PID/pagemap, and older headers lack: asynchronous write protection
/// (the kernel itself lets a write to a protected page through and remembers it) and PAGEMAP_SCAN (reports the pages
/// that were written and protects them again, in one step). See Documentation/admin-guide/mm/{userfaultfd,pagemap}.rst.
namespace uffd_kernel {

/// Create with this flag: processes without privileges may. It concerns faults that a handler has to resolve; here the
/// kernel resolves all of them, its own included.
inline constexpr int user_mode_only = 1;

inline constexpr std::uint64_t feature_wp_unpopulated = std::uint64_t{1} << 13;
inline constexpr std::uint64_t feature_wp_async = std::uint64_t{1} << 15;

inline constexpr std::uint64_t page_is_written = std::uint64_t{1} << 1;
inline constexpr std::uint64_t scan_wp_matching = std::uint64_t{1} << 0;
inline constexpr std::uint64_t scan_check_wp_async = std::uint64_t{1} << 1;

/// Addresses [start, end) of pages that are alike.
struct PageRegion {
    std::uint64_t start;
    std::uint64_t end;
    std::uint64_t categories;
};
static_assert(sizeof(PageRegion) == 24);

struct ScanArgument {
    std::uint64_t size;
    std::uint64_t flags;
    std::uint64_t start;
    std::uint64_t end;
    std::uint64_t walk_end;
    std::uint64_t vec;
    std::uint64_t vec_len;
    std::uint64_t max_pages;
    std::uint64_t category_inverted;
    std::uint64_t category_mask;
    std::uint64_t category_anyof_mask;
    std::uint64_t return_mask;
};
static_assert(sizeof(ScanArgument) == 96);

inline constexpr unsigned long pagemap_scan = _IOWR('f', 16, ScanArgument);
static_assert(pagemap_scan == 0xc0606610UL);

static_assert(sizeof(uffdio_api) == 24 && sizeof(uffdio_register) == 32 && sizeof(uffdio_writeprotect) == 24);

}  // namespace uffd_kernel
}  // namespace godwit
