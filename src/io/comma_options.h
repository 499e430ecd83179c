#pragma once

#include <string>
#include <string_view>

namespace godwit {

/// What stands before the next single comma, with double ones made single; taken off `text`.
inline std::string take_comma_option(std::string_view& text) {
    std::string option;
    while (!text.empty()) {
        const char letter = text.front();
        text.remove_prefix(1);
        if (letter == ',') {
            if (!text.starts_with(',')) {
                break;
            }
            text.remove_prefix(1);
        }
        option += letter;
    }
    return option;
}

}  // namespace godwit
