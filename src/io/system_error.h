#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <system_error>

#include "godwit/error.h"

namespace godwit {

/// The system's words for an errno value ("Connection refused").
inline std::string errno_text(int error) {
    return std::generic_category().message(error);
}

/// An error of a system call: "WHAT: Connection refused".
inline tl::unexpected<Error> fail_errno(ErrorCode code, std::string_view what, int error, std::string hint = {}) {
    return fail(code, fmt::format("{}: {}", what, errno_text(error)), std::move(hint));
}

}  // namespace godwit
