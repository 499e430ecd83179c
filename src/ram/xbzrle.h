#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "godwit/channel.h"
#include "godwit/units.h"

namespace godwit {

/// QEMU's delta encoding of a page ("xor based zero run length encoding", though it stores the new bytes): runs of
/// equal and of different bytes in turns, each with its length in front. `docs/stream.md` has the bytes.

/// Writes the delta that makes `page` of `old_page` into `out` and returns its length; 0 when they are equal, nothing
/// when it would be longer than a page. Neither page may change meanwhile. Pure.
std::optional<std::size_t> encode_xbzrle(const std::byte* old_page, const std::byte* page,
                                         std::span<std::byte, page_bytes> out);

/// Applies a delta to `page`. False for one that no encoder writes; then some of the page may have been changed, and
/// nothing outside of it.
bool decode_xbzrle(ConstBuffer delta, std::byte* page);

/// The parts that are chosen at run time, for tests and benchmarks.
namespace xbzrle_detail {

/// Bit b of word w is set when byte 64 * w + b of the pages differs.
inline constexpr std::size_t mask_words = page_bytes / 64;
using Mask = std::array<std::uint64_t, mask_words>;
using Compare = bool (*)(const std::byte* a, const std::byte* b, Mask& differs);

/// Each returns whether anything differs.
bool compare_portable(const std::byte* a, const std::byte* b, Mask& differs);
bool compare_avx2(const std::byte* a, const std::byte* b, Mask& differs);
bool compare_avx512(const std::byte* a, const std::byte* b, Mask& differs);
bool has_avx2();
bool has_avx512();

/// `encode_xbzrle` with a given comparison.
std::optional<std::size_t> encode_with(Compare compare, const std::byte* old_page, const std::byte* page,
                                       std::span<std::byte, page_bytes> out);

}  // namespace xbzrle_detail

}  // namespace godwit
