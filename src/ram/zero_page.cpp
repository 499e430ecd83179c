#include "ram/zero_page.h"

#include <cstdint>

#if defined(__SANITIZE_THREAD__)
// The owner of the memory may write while it is scanned. That is what live migration is about: a page that is written
// during the scan is dirty and will be looked at again.
#define GODWIT_RACY __attribute__((no_sanitize_thread, noinline))
#else
#define GODWIT_RACY
#endif

namespace godwit {
namespace zero_page_detail {
namespace {

constexpr std::size_t vectors_per_step = 8;

using Narrow = std::uint64_t __attribute__((vector_size(16), may_alias));

}  // namespace

GODWIT_RACY bool is_zero_portable(const std::byte* page) {
    const Narrow* at = reinterpret_cast<const Narrow*>(page);
    const Narrow* const end = at + page_bytes / sizeof(Narrow);
    for (; at != end; at += vectors_per_step) {
        const Narrow all = ((at[0] | at[1]) | (at[2] | at[3])) | ((at[4] | at[5]) | (at[6] | at[7]));
        if ((all[0] | all[1]) != 0) {
            return false;
        }
    }
    return true;
}

#if defined(__x86_64__)

using Wide = std::uint64_t __attribute__((vector_size(32), may_alias));

bool has_wide() {
    return __builtin_cpu_supports("avx2") != 0;
}

__attribute__((target("avx2"))) GODWIT_RACY bool is_zero_wide(const std::byte* page) {
    const Wide* at = reinterpret_cast<const Wide*>(page);
    const Wide* const end = at + page_bytes / sizeof(Wide);
    for (; at != end; at += vectors_per_step) {
        const Wide all = ((at[0] | at[1]) | (at[2] | at[3])) | ((at[4] | at[5]) | (at[6] | at[7]));
        if ((all[0] | all[1] | all[2] | all[3]) != 0) {
            return false;
        }
    }
    return true;
}

#else

bool has_wide() {
    return false;
}
bool is_zero_wide(const std::byte* page) {
    return is_zero_portable(page);
}

#endif

}  // namespace zero_page_detail

bool is_zero_page(const std::byte* page) {
    return zero_page_detail::has_wide() ? zero_page_detail::is_zero_wide(page)
                                        : zero_page_detail::is_zero_portable(page);
}

}  // namespace godwit
