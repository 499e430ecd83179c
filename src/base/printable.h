#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace godwit {

/// Text from outside, safe to show: everything but printable ASCII becomes \xNN.
inline std::string printable(std::string_view text) {
    std::string shown;
    for (const char c : text) {
        if (c >= ' ' && c <= '~') {
            shown += c;
        } else {
            shown += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
        }
    }
    return shown;
}

}  // namespace godwit
