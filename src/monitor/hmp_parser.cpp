#include "monitor/hmp_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "base/printable.h"

namespace godwit {

namespace {

constexpr std::string_view blanks = " \t\r\n";
constexpr std::string_view suffixes = "BKMGTPE";

/// The character that a backslash and `byte` stand for; 0: none.
char escaped(char byte) {
    switch (byte) {
        case 'n':
            return '\n';
        case 'r':
            return '\r';
        case 't':
            return '\t';
        case '"':
        case '\\':
        case '\'':
            return byte;
        default:
            return '\0';
    }
}

/// Takes a quoted word, whose opening quote is at `at`, and moves `at` behind the closing one.
Result<std::string> take_quoted(std::string_view line, std::size_t& at) {
    std::string word;
    for (++at; at < line.size(); ++at) {
        char byte = line[at];
        if (byte == '"') {
            ++at;
            return word;
        }
        if (byte == '\\' && at + 1 < line.size()) {
            byte = escaped(line[++at]);
            if (byte == '\0') {
                return fail(ErrorCode::invalid_argument,
                            fmt::format("unsupported escape code: '\\{}'", printable(line.substr(at, 1))));
            }
        }
        word += byte;
    }
    return fail(ErrorCode::invalid_argument, "unterminated string");
}

tl::unexpected<Error> no_size(std::string_view text) {
    return fail(ErrorCode::invalid_argument, fmt::format("Invalid size {}", printable(text)),
                "a number below 2^64 with a suffix B, K, M, G, T, P or E or none");
}

/// All of `text` as a number without a sign; nothing when it is none.
template <typename T>
bool read_number(std::string_view text, T& number) {
    const char* end = text.data() + text.size();
    const auto [stop, problem] = std::from_chars(text.data(), end, number);
    return !text.empty() && text.front() != '-' && problem == std::errc() && stop == end;
}

}  // namespace

Result<std::vector<std::string>> split_words(std::string_view line) {
    std::vector<std::string> words;
    for (std::size_t at = line.find_first_not_of(blanks); at < line.size(); at = line.find_first_not_of(blanks, at)) {
        if (line[at] == '"') {
            auto word = take_quoted(line, at);
            if (!word) {
                return fail(word.error());
            }
            words.push_back(std::move(*word));
        } else {
            const std::size_t end = std::min(line.find_first_of(blanks, at), line.size());
            words.emplace_back(line.substr(at, end - at));
            at = end;
        }
    }
    return words;
}

Result<std::uint64_t> parse_size(std::string_view text, std::uint64_t default_unit_bytes) {
    std::string_view digits = text;
    std::uint64_t unit = default_unit_bytes;
    bool suffix = false;
    if (!digits.empty()) {
        const char last = digits.back() >= 'a' ? static_cast<char>(digits.back() - 'a' + 'A') : digits.back();
        if (const auto power = suffixes.find(last); power != std::string_view::npos) {
            unit = std::uint64_t{1} << (10 * power);
            suffix = true;
            digits.remove_suffix(1);
        }
    }
    if (std::uint64_t whole = 0; read_number(digits, whole)) {
        return whole > std::numeric_limits<std::uint64_t>::max() / unit ? Result<std::uint64_t>(no_size(text))
                                                                        : whole * unit;
    }
    constexpr double beyond_uint64 = 18446744073709551616.0;
    double number = 0;
    const bool plain = digits.find_first_not_of("0123456789.") == std::string_view::npos;
    if (!plain || !(suffix || unit > 1) || !read_number(digits, number)) {
        return no_size(text);
    }
    const double bytes = number * static_cast<double>(unit);
    if (!(bytes < beyond_uint64)) {
        return no_size(text);
    }
    return static_cast<std::uint64_t>(bytes);
}

Result<double> parse_seconds(std::string_view text) {
    double seconds = 0;
    if (text.find_first_not_of("0123456789.eE+-") != std::string_view::npos || !read_number(text, seconds) ||
        !std::isfinite(seconds)) {
        return fail(ErrorCode::invalid_argument, fmt::format("'{}' is no number of seconds", printable(text)));
    }
    return seconds;
}

Result<bool> parse_switch(std::string_view text, bool yes_too) {
    constexpr std::array<std::pair<std::string_view, bool>, 8> words{{{"on", true},
                                                                      {"off", false},
                                                                      {"yes", true},
                                                                      {"no", false},
                                                                      {"true", true},
                                                                      {"false", false},
                                                                      {"y", true},
                                                                      {"n", false}}};
    const std::size_t count = yes_too ? words.size() : 2;
    for (std::size_t i = 0; i < count; ++i) {
        if (words[i].first == text) {
            return words[i].second;
        }
    }
    return fail(ErrorCode::invalid_argument, "Expected 'on' or 'off'");
}

}  // namespace godwit
