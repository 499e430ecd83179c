#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace godwit {

using Json = nlohmann::json;

/// Text on one line; bytes that are not UTF-8 (they can come in through names and system messages) are replaced.
inline std::string to_text(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace godwit
