#pragma once

#include <cstddef>
#include <cstdint>

/// A plain loop over memory, to compare with: enough independent sums that memory, not arithmetic, sets its speed.
namespace godwit::memory_read {

using Narrow = std::uint64_t __attribute__((vector_size(16), may_alias));

template <typename Vector>
__attribute__((always_inline)) inline std::uint64_t sum_of(const std::byte* bytes, std::size_t size) {
    Vector totals[4] = {};
    const Vector* const words = reinterpret_cast<const Vector*>(bytes);
    for (std::size_t i = 0; i < size / sizeof(Vector); i += 4) {
        totals[0] += words[i];
        totals[1] += words[i + 1];
        totals[2] += words[i + 2];
        totals[3] += words[i + 3];
    }
    const Vector total = (totals[0] + totals[1]) + (totals[2] + totals[3]);
    return total[0] + total[1];
}

__attribute__((noinline)) inline std::uint64_t sum_narrow(const std::byte* bytes, std::size_t size) {
    return sum_of<Narrow>(bytes, size);
}

#if defined(__x86_64__)
using Wide = std::uint64_t __attribute__((vector_size(32), may_alias));

__attribute__((target("avx2"), noinline)) inline std::uint64_t sum_wide(const std::byte* bytes, std::size_t size) {
    return sum_of<Wide>(bytes, size);
}

/// `size` is a multiple of 128, `bytes` aligned to 32.
inline std::uint64_t sum(const std::byte* bytes, std::size_t size) {
    return __builtin_cpu_supports("avx2") ? sum_wide(bytes, size) : sum_narrow(bytes, size);
}
#else
inline std::uint64_t sum(const std::byte* bytes, std::size_t size) {
    return sum_narrow(bytes, size);
}
#endif

}  // namespace godwit::memory_read
