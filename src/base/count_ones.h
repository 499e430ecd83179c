#pragma once

#include <cstdint>
#include <span>

namespace godwit {

/// How many bits are set in all words together.
std::uint64_t count_ones(std::span<const std::uint64_t> words);

namespace count_ones_detail {

/// The twins behind `count_ones`, to be tested against each other.
std::uint64_t count_portable(std::span<const std::uint64_t> words);
/// Only where `has_instruction` says so.
std::uint64_t count_by_instruction(std::span<const std::uint64_t> words);
bool has_instruction();

}  // namespace count_ones_detail
}  // namespace godwit
