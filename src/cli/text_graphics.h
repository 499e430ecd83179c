#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace godwit {

/// What a terminal can show. Every glyph takes one column.
enum class Glyphs { ascii, unicode };

/// Block elements if the environment's locale is UTF-8.
Glyphs glyphs_of_environment();

/// How full something is: exactly `width` columns. Fractions outside 0 to 1 count as the nearer of them.
std::string bar(double fraction, std::size_t width, Glyphs glyphs);

/// The course of a value, the newest on the right: exactly `width` columns, the left ones blank while there are few
/// values; of more than fit the last ones. The highest value shown fills its column, 0 and less are the lowest mark.
std::string sparkline(std::span<const double> values, std::size_t width, Glyphs glyphs);

/// Columns that UTF-8 text of ASCII and of these glyphs takes.
std::size_t columns(std::string_view text);

/// The text, cut to `width` columns; what was cut shows.
std::string fit(std::string_view text, std::size_t width);

/// Lays parts out in lines of at most `width` columns, with two blanks between them. Empty parts are left out; one that
/// does not fit on a line of its own is cut.
std::vector<std::string> flow(std::span<const std::string> parts, std::size_t width);

}  // namespace godwit
