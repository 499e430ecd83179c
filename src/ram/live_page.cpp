#include "ram/live_page.h"

#include <cstdint>
#include <cstring>

namespace godwit {

#if defined(__SANITIZE_THREAD__)

// The race is what live migration is about. memcpy would be watched even here, and so would a loop that became one.
__attribute__((no_sanitize_thread, noinline, optimize("no-tree-loop-distribute-patterns"))) void copy_live_page(
    const std::byte* page, std::byte* copy) {
    using Word = std::uint64_t __attribute__((may_alias));
    const auto* from = reinterpret_cast<const Word*>(page);
    auto* to = reinterpret_cast<Word*>(copy);
    for (std::size_t i = 0; i < page_bytes / sizeof(Word); ++i) {
        to[i] = from[i];
    }
}

#else

void copy_live_page(const std::byte* page, std::byte* copy) {
    std::memcpy(copy, page, page_bytes);
}

#endif

}  // namespace godwit
