#include "godwit/error.h"

#include <algorithm>

#include "godwit/error_table.h"

namespace godwit {
namespace {

const ErrorInfo* row_of(std::uint16_t number) {
    const auto same = [number](const ErrorInfo& info) { return static_cast<std::uint16_t>(info.code) == number; };
    const auto found = std::ranges::find_if(error_table(), same);
    return found != error_table().end() ? &*found : nullptr;
}

}  // namespace

std::string_view to_string(ErrorCode code) {
    const ErrorInfo* const info = row_of(static_cast<std::uint16_t>(code));
    return info != nullptr ? info->name : "internal";
}

ErrorCode error_code_from_wire(std::uint16_t value) {
    const ErrorInfo* const info = row_of(value);
    return info != nullptr ? info->code : ErrorCode::peer_failed;
}

std::string Error::text() const {
    if (hint.empty()) {
        return message;
    }
    return message + " (" + hint + ")";
}

}  // namespace godwit
