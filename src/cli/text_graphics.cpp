#include "cli/text_graphics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

namespace godwit {

namespace {

/// Eighths of a column, upwards and to the right.
constexpr std::array<const char*, 8> heights = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<const char*, 8> widths = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
constexpr std::array<const char*, 8> ascii_heights = {"_", ".", ",", "-", "~", "=", "*", "#"};

std::string repeated(const char* glyph, std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
        text += glyph;
    }
    return text;
}

bool begins_column(char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
}

/// Nothing, infinity and what is not a number are 0.
double sane(double value) {
    return std::isfinite(value) && value > 0 ? value : 0;
}

}  // namespace

Glyphs glyphs_of_environment() {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        const char* value = std::getenv(name);
        if (value != nullptr && *value != '\0') {
            const std::string_view locale(value);
            const bool utf8 = locale.ends_with("UTF-8") || locale.ends_with("utf8") || locale.ends_with("UTF8");
            return utf8 ? Glyphs::unicode : Glyphs::ascii;
        }
    }
    return Glyphs::ascii;
}

std::string bar(double fraction, std::size_t width, Glyphs glyphs) {
    const double part = std::clamp(sane(fraction), 0.0, 1.0);
    const auto eighths = static_cast<std::size_t>(std::floor(part * static_cast<double>(width) * 8 + 1e-9));
    const std::size_t full = std::min(width, eighths / 8);
    if (glyphs == Glyphs::ascii) {
        return repeated("#", full) + repeated("-", width - full);
    }
    if (full == width) {
        return repeated("█", full);
    }
    return repeated("█", full) + widths[eighths % 8] + repeated(" ", width - full - 1);
}

std::string sparkline(std::span<const double> values, std::size_t width, Glyphs glyphs) {
    const std::span<const double> shown = values.last(std::min(values.size(), width));
    double most = 0;
    for (const double value : shown) {
        most = std::max(most, sane(value));
    }
    std::string text(width - shown.size(), ' ');
    for (const double value : shown) {
        const double part = most > 0 ? sane(value) / most : 0;
        const auto level = static_cast<std::size_t>(std::lround(part * 7));
        text += (glyphs == Glyphs::unicode ? heights : ascii_heights)[std::min<std::size_t>(level, 7)];
    }
    return text;
}

std::size_t columns(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_column));
}

std::string fit(std::string_view text, std::size_t width) {
    if (columns(text) <= width) {
        return std::string(text);
    }
    std::string cut;
    std::size_t count = 0;
    for (const char c : text) {
        count += begins_column(c) ? 1U : 0U;
        if (count >= width) {
            break;
        }
        cut += c;
    }
    return width == 0 ? "" : cut + "~";
}

std::vector<std::string> flow(std::span<const std::string> parts, std::size_t width) {
    std::vector<std::string> lines;
    for (const std::string& part : parts) {
        if (part.empty()) {
            continue;
        }
        if (!lines.empty() && columns(lines.back()) + 2 + columns(part) <= width) {
            lines.back() += "  " + part;
        } else {
            lines.push_back(fit(part, width));
        }
    }
    return lines;
}

}  // namespace godwit
