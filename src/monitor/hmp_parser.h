#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/error.h"

namespace godwit {

/// Cuts a line into words at spaces and tabs. A word may stand in double quotes; in them \" \\ \' \n \r and \t are what
/// they are in C. Errors: `invalid_argument` for a quote that is not closed and for other uses of the backslash.
Result<std::vector<std::string>> split_words(std::string_view line);

/// A size: a number, with a fraction if it has a suffix (B, K, M, G, T, P or E, powers of 1024, either case). Without a
/// suffix it counts `default_unit_bytes`. A fraction of a byte is cut off. Errors: `invalid_argument` for anything else
/// and for what does not fit 64 bits.
Result<std::uint64_t> parse_size(std::string_view text, std::uint64_t default_unit_bytes);

/// A decimal number of seconds, not negative. Errors: `invalid_argument`.
Result<double> parse_seconds(std::string_view text);

/// "on" or "off"; `yes_too`: also yes, no, true, false, y and n. Errors: `invalid_argument`.
Result<bool> parse_switch(std::string_view text, bool yes_too);

}  // namespace godwit
