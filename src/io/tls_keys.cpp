#include "io/tls_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

namespace godwit {

namespace {

/// More than anybody uses; TLS has a limit of its own.
constexpr std::size_t max_key_bytes = 512;

std::string_view without_space_at_end(std::string_view line) {
    const std::size_t last = line.find_last_not_of(" \t\r");
    return line.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

}  // namespace

Result<TlsKeys> TlsKeys::parse(std::string_view text) {
    TlsKeys keys;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = without_space_at_end(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty() || line.front() == '#') {
            continue;
        }
        if (Status taken = keys.take_line(line); !taken) {
            return fail(taken.error().code, fmt::format("line {}: {}", number, taken.error().message),
                        "a line is USER:KEY, the key in hexadecimal digits");
        }
    }
    return keys;
}

Status TlsKeys::take_line(std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) {
        return fail(ErrorCode::invalid_argument, "no user's name before a colon");
    }
    const std::string_view digits = line.substr(colon + 1);
    if (digits.empty() || digits.size() % 2 != 0 || digits.size() > 2 * max_key_bytes) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("a key has an even number of hexadecimal digits, {} at most", 2 * max_key_bytes));
    }
    Key key(digits.size() / 2);
    for (std::size_t i = 0; i < key.size(); ++i) {
        const char* begin = digits.data() + 2 * i;
        const auto [end, error] = std::from_chars(begin, begin + 2, key[i], 16);
        if (error != std::errc() || end != begin + 2) {
            ::explicit_bzero(key.data(), key.size());
            return fail(ErrorCode::invalid_argument, "a key has only hexadecimal digits");
        }
    }
    const auto [place, is_new] = keys_.try_emplace(std::string(line.substr(0, colon)), std::move(key));
    if (!is_new) {
        ::explicit_bzero(key.data(), key.size());
    }
    return {};
}

TlsKeys::~TlsKeys() {
    for (auto& [user, key] : keys_) {
        ::explicit_bzero(key.data(), key.size());
    }
}

const TlsKeys::Key* TlsKeys::find(std::string_view user) const {
    const auto found = keys_.find(user);
    return found == keys_.end() ? nullptr : &found->second;
}

}  // namespace godwit
