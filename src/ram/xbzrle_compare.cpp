// Where two pages differ, byte for byte, as a mask: the part of the encoder that looks at every byte.
#include <bit>
#include <cstring>

#include "ram/xbzrle.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace godwit::xbzrle_detail {

namespace {

/// One bit for each byte of `word` that is not zero, the lowest byte's first.
std::uint64_t nonzero_bytes(std::uint64_t word) {
    constexpr std::uint64_t low_bits = 0x7f7f7f7f7f7f7f7f;
    // The high bit of a byte is set by its own high bit, or by a carry out of its low bits.
    const std::uint64_t high = (((word & low_bits) + low_bits) | word) & ~low_bits;
    return (high >> 7) * 0x0102040810204080 >> 56;
}

std::uint64_t load(const std::byte* at) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof(word));
    if constexpr (std::endian::native == std::endian::big) {
        word = __builtin_bswap64(word);
    }
    return word;
}

}  // namespace

bool compare_portable(const std::byte* a, const std::byte* b, Mask& differs) {
    std::uint64_t any = 0;
    for (std::size_t w = 0; w < mask_words; ++w) {
        std::uint64_t mask = 0;
        for (std::size_t part = 0; part < 8; ++part) {
            const std::size_t at = w * 64 + part * 8;
            if (const std::uint64_t difference = load(a + at) ^ load(b + at); difference != 0) {
                mask |= nonzero_bytes(difference) << (part * 8);
            }
        }
        differs[w] = mask;
        any |= mask;
    }
    return any != 0;
}

#if defined(__x86_64__)

bool has_avx2() {
    return __builtin_cpu_supports("avx2") != 0;
}

bool has_avx512() {
    return __builtin_cpu_supports("avx512bw") != 0;
}

__attribute__((target("avx2"))) static std::uint64_t equal_bytes(const std::byte* a, const std::byte* b) {
    const __m256i left = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a));
    const __m256i right = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b));
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(left, right)));
}

__attribute__((target("avx2"))) bool compare_avx2(const std::byte* a, const std::byte* b, Mask& differs) {
    std::uint64_t any = 0;
    for (std::size_t w = 0; w < mask_words; ++w) {
        const std::uint64_t low = equal_bytes(a + w * 64, b + w * 64);
        const std::uint64_t high = equal_bytes(a + w * 64 + 32, b + w * 64 + 32);
        differs[w] = ~(low | high << 32);
        any |= differs[w];
    }
    return any != 0;
}

__attribute__((target("avx512bw"))) bool compare_avx512(const std::byte* a, const std::byte* b, Mask& differs) {
    std::uint64_t any = 0;
    for (std::size_t w = 0; w < mask_words; ++w) {
        const __m512i left = _mm512_loadu_si512(a + w * 64);
        const __m512i right = _mm512_loadu_si512(b + w * 64);
        differs[w] = _mm512_cmpneq_epi8_mask(left, right);
        any |= differs[w];
    }
    return any != 0;
}

#else

bool has_avx2() {
    return false;
}
bool has_avx512() {
    return false;
}
bool compare_avx2(const std::byte* a, const std::byte* b, Mask& differs) {
    return compare_portable(a, b, differs);
}
bool compare_avx512(const std::byte* a, const std::byte* b, Mask& differs) {
    return compare_portable(a, b, differs);
}

#endif

}  // namespace godwit::xbzrle_detail
