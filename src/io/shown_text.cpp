#include "io/shown_text.h"

#include <algorithm>

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

std::string shown_uri(std::string_view uri) {
    constexpr std::string_view separator = "://";
    const std::size_t scheme_end = uri.find(separator);
    if (scheme_end == std::string_view::npos) {
        return std::string(uri);
    }
    const std::size_t begin = scheme_end + separator.size();
    const std::string_view authority = uri.substr(begin, uri.find_first_of("/?#", begin) - begin);
    // A password may have an @ of its own.
    const std::size_t host = authority.rfind('@');
    const std::size_t colon = authority.find(':');
    if (host == std::string_view::npos || colon == std::string_view::npos || colon > host) {
        return std::string(uri);
    }
    return std::string(uri.substr(0, begin + colon + 1)) + "***" + std::string(uri.substr(begin + host));
}

}  // namespace godwit
