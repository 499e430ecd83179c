#pragma once

#include <string>
#include <string_view>

namespace godwit {

// What logs, errors and peers are told of texts that may hold secrets.

/// Of a command the program that it starts: its arguments may hold keys. "openssl ...", and "..." where it begins with
/// something else than a plain word.
std::string shown_command(std::string_view command);

/// A URI without the password of its user: "nbd://user:***@host/name".
std::string shown_uri(std::string_view uri);

}  // namespace godwit
