#pragma once

#include <string>
#include <string_view>

namespace godwit {

// What logs, errors and peers are told of texts that may hold secrets.

/// Of a command the program that it starts: its arguments may hold keys. "openssl ...", and "..." where it begins with
/// something else than a plain word.
std::string shown_command(std::string_view command);

/// A URI without the password of its user: "nbd://user:***@host/name". Where it is not certain what the password is,
/// the scheme alone: "nbd:...". That is so for what is no URI with a host and a port, and for a password, or a name
/// after HOST:PORT, with an @ behind a '/', '?' or '#'.
std::string shown_uri(std::string_view uri);

/// What a library has said of a URI that it was given, in which it may quote it. Nothing of that where `shown_uri`
/// gives the scheme alone.
std::string shown_words(std::string_view words, std::string_view uri);

}  // namespace godwit
