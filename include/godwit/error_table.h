#pragma once

#include <span>
#include <string>
#include <string_view>

#include "godwit/error.h"

namespace godwit {

/// What is to be known of an error code, whatever the single error's message says.
struct ErrorInfo {
    ErrorCode code;
    std::string_view name;     ///< lower case with dashes; as stable as the number
    std::string_view meaning;  ///< what has happened
    std::string_view remedy;   ///< what to do about it
};

/// All codes in the order of their numbers: `docs/errors.md`, `godwit errors` and `to_string` are made of it. Any
/// thread.
std::span<const ErrorInfo> error_table();

/// The row of the code with this name ("handover-unknown") or number ("62"); null if there is none. Any thread.
const ErrorInfo* find_error(std::string_view name_or_number);

/// A text of the table for those who see no Markdown: names stand in quotes. Any thread.
std::string plain_text(std::string_view text);

/// What to do about this error: its own hint, or where it has none, its code's remedy as plain text. Any thread.
std::string advice_for(const Error& error);

}  // namespace godwit
