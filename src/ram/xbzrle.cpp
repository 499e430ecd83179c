#include "ram/xbzrle.h"

#include <bit>
#include <cstring>

namespace godwit {

namespace {

using namespace xbzrle_detail;

/// The first set bit at or after `from`; page_bytes when there is none.
std::size_t next_set(const Mask& mask, std::size_t from) {
    std::size_t word = from / 64;
    if (word >= mask_words) {
        return page_bytes;
    }
    std::uint64_t bits = mask[word] & (~std::uint64_t{0} << (from % 64));
    while (bits == 0) {
        if (++word == mask_words) {
            return page_bytes;
        }
        bits = mask[word];
    }
    return word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
}

/// Where at least three equal bytes begin. Shorter ones are not worth the two lengths that a new run costs, so they are
/// sent along. What follows the page counts as equal.
Mask gaps(const Mask& differs) {
    Mask result;
    for (std::size_t w = 0; w < mask_words; ++w) {
        const std::uint64_t next = w + 1 < mask_words ? differs[w + 1] : 0;
        const std::uint64_t second = differs[w] >> 1 | next << 63;
        const std::uint64_t third = differs[w] >> 2 | next << 62;
        result[w] = ~(differs[w] | second | third);
    }
    return result;
}

std::size_t length_bytes(std::size_t length) {
    return length < 0x80 ? 1 : 2;
}

/// A length in at most two bytes of seven bits each, the lower ones first.
std::byte* put_length(std::byte* to, std::size_t length) {
    if (length < 0x80) {
        *to = static_cast<std::byte>(length);
        return to + 1;
    }
    to[0] = static_cast<std::byte>((length & 0x7f) | 0x80);
    to[1] = static_cast<std::byte>(length >> 7);
    return to + 2;
}

/// Takes a length from the front of `delta`; nothing when there is none, or it is longer than two bytes.
std::optional<std::size_t> take_length(ConstBuffer& delta) {
    if (delta.empty()) {
        return std::nullopt;
    }
    const auto low = static_cast<std::size_t>(delta[0]);
    if (low < 0x80) {
        delta = delta.subspan(1);
        return low;
    }
    if (delta.size() < 2 || (delta[1] & std::byte{0x80}) != std::byte{0}) {
        return std::nullopt;
    }
    const auto high = static_cast<std::size_t>(delta[1]);
    delta = delta.subspan(2);
    return (low & 0x7f) | high << 7;
}

Compare best_compare() {
    return has_avx512() ? compare_avx512 : has_avx2() ? compare_avx2 : compare_portable;
}

}  // namespace

namespace xbzrle_detail {

std::optional<std::size_t> encode_with(Compare compare, const std::byte* old_page, const std::byte* page,
                                       std::span<std::byte, page_bytes> out) {
    Mask differs;
    if (!compare(old_page, page, differs)) {
        return 0;
    }
    const Mask gap = gaps(differs);
    std::byte* to = out.data();
    std::size_t left = out.size();
    std::size_t at = 0;
    for (std::size_t first = next_set(differs, 0); first < page_bytes; first = next_set(differs, at)) {
        const std::size_t end = next_set(gap, first);
        const std::size_t needed = length_bytes(first - at) + length_bytes(end - first) + (end - first);
        if (needed > left) {
            return std::nullopt;
        }
        to = put_length(to, first - at);
        to = put_length(to, end - first);
        std::memcpy(to, page + first, end - first);
        to += end - first;
        left -= needed;
        at = end;
    }
    return out.size() - left;
}

}  // namespace xbzrle_detail

std::optional<std::size_t> encode_xbzrle(const std::byte* old_page, const std::byte* page,
                                         std::span<std::byte, page_bytes> out) {
    return encode_with(best_compare(), old_page, page, out);
}

bool decode_xbzrle(ConstBuffer delta, std::byte* page) {
    // Bounded: every round takes at least two bytes from the delta.
    for (std::size_t at = 0; !delta.empty();) {
        const std::optional<std::size_t> equal = take_length(delta);
        const std::optional<std::size_t> changed = equal ? take_length(delta) : std::nullopt;
        const bool fits = changed && *equal <= page_bytes - at && *changed <= page_bytes - at - *equal;
        if (!fits || *changed == 0 || *changed > delta.size() || (*equal == 0 && at != 0)) {
            return false;
        }
        at += *equal;
        std::memcpy(page + at, delta.data(), *changed);
        at += *changed;
        delta = delta.subspan(*changed);
    }
    return true;
}

}  // namespace godwit
