#pragma once

#include <cstddef>

#include "godwit/units.h"

namespace godwit {

/// Whether a page (`page_bytes`, page aligned) reads as zeros. It stops at the first piece that does not: a page of
/// ordinary data costs little, a zero page is read at the speed of memory. The owner may write the page at the same
/// time: then the answer is that of some moment for each byte, and the page counts as dirty anyway.
bool is_zero_page(const std::byte* page);

namespace zero_page_detail {

/// The twins behind `is_zero_page`, to be tested against each other.
bool is_zero_portable(const std::byte* page);
/// Only where `has_wide` says so.
bool is_zero_wide(const std::byte* page);
bool has_wide();

}  // namespace zero_page_detail
}  // namespace godwit
