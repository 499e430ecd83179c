#include "io/shown_text.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace godwit {

std::string shown_command(std::string_view command) {
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+./";
    constexpr std::string_view blanks = " \t\n";
    command.remove_prefix(std::min(command.size(), command.find_first_not_of(blanks)));
    const std::string_view word = command.substr(0, command.find_first_of(blanks));
    // A variable that is set, a quoted text: not for certain a program's name.
    if (word.empty() || word.find_first_not_of(plain) != std::string_view::npos) {
        return "...";
    }
    const bool has_more = command.find_first_not_of(blanks, word.size()) != std::string_view::npos;
    return std::string(word) + (has_more ? " ..." : "");
}

namespace {

constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view digits = "0123456789";

/// The bytes of a URI's scheme; 0 when it has none.
std::size_t scheme_bytes(std::string_view uri) {
    const std::size_t end = std::min(uri.size(), uri.find(':'));
    const std::string_view scheme = uri.substr(0, end);
    const bool is_scheme =
        end < uri.size() && !scheme.empty() && letters.find(scheme.front()) != std::string_view::npos &&
        std::ranges::all_of(scheme, [](char letter) {
            return letters.find(letter) != std::string_view::npos || digits.find(letter) != std::string_view::npos ||
                   letter == '+' || letter == '-' || letter == '.';
        });
    return is_scheme ? end : 0;
}

/// HOST, [ADDRESS], or one of both with :PORT.
bool is_host(std::string_view text) {
    if (text.starts_with('[')) {
        text.remove_prefix(std::min(text.size(), text.find(']')));
    }
    const std::size_t colon = text.find(':');
    return colon == std::string_view::npos || text.find_first_not_of(digits, colon + 1) == std::string_view::npos;
}

/// Nothing where it is not certain what the password is.
std::optional<std::string> without_password(std::string_view uri) {
    constexpr std::string_view separator = "://";
    const std::size_t scheme = scheme_bytes(uri);
    if (scheme == 0 || !uri.substr(scheme).starts_with(separator)) {
        return std::nullopt;
    }
    const std::size_t begin = scheme + separator.size();
    const std::string_view authority = uri.substr(begin, uri.find_first_of("/?#", begin) - begin);
    const std::string_view rest = uri.substr(begin + authority.size());
    // A password may have an @ of its own.
    const std::size_t at = authority.rfind('@');
    const std::string_view host = authority.substr(at == std::string_view::npos ? 0 : at + 1);
    const std::size_t colon = authority.substr(0, authority.size() - host.size()).find(':');
    const bool may_go_on = rest.find('@') != std::string_view::npos &&
                           (colon != std::string_view::npos || (!host.starts_with('[') && host.find(':') != host.npos));
    if (!is_host(host) || may_go_on) {
        return std::nullopt;
    }
    if (colon == std::string_view::npos) {
        return std::string(uri);
    }
    return std::string(uri.substr(0, begin + colon + 1)) + "***" + std::string(uri.substr(begin + at));
}

}  // namespace

std::string shown_uri(std::string_view uri) {
    if (auto shown = without_password(uri)) {
        return *std::move(shown);
    }
    const std::size_t scheme = scheme_bytes(uri);
    return std::string(uri.substr(0, scheme)) + (scheme != 0 ? ":..." : "...");
}

std::string shown_words(std::string_view words, std::string_view uri) {
    const auto shown = without_password(uri);
    if (!shown) {
        return "it is not certain what of its URI is a password, so nothing of it is shown";
    }
    std::string text;
    for (std::size_t found = words.find(uri); found != std::string_view::npos; found = words.find(uri)) {
        text += std::string(words.substr(0, found)) + *shown;
        words.remove_prefix(found + uri.size());
    }
    return text + std::string(words);
}

}  // namespace godwit
