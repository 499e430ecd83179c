#include "io/tls_objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace godwit {

namespace {

constexpr std::size_t max_objects = 256;
constexpr std::size_t max_id_bytes = 256;

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_identifier(const std::string& text) {
    return !text.empty() && text.size() <= max_id_bytes && is_letter(text.front()) &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
           });
}

}  // namespace

Status TlsObjects::add(const std::string& id, Object object) {
    if (!is_identifier(id)) {
        return fail(ErrorCode::invalid_argument, "Parameter 'id' expects an identifier",
                    "letters, digits, '-', '.' and '_', a letter first");
    }
    if (objects_.contains(id)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("attempt to add duplicate property '{}' to object (type 'container')", id));
    }
    if (objects_.size() == max_objects) {
        return fail(ErrorCode::invalid_argument, fmt::format("there are {} objects already", max_objects));
    }
    objects_.emplace(id, std::move(object));
    return {};
}

Status TlsObjects::remove(const std::string& id) {
    if (objects_.erase(id) == 0) {
        return fail(ErrorCode::not_found, fmt::format("object '{}' not found", id));
    }
    return {};
}

Result<TlsTerms> TlsObjects::terms(const MigrationParameters& parameters, Direction direction) const {
    TlsTerms terms;
    if (parameters.tls_creds.empty()) {
        // Who names a list of the welcome does not want to let everybody in.
        if (direction == Direction::incoming && !parameters.tls_authz.empty()) {
            return fail(ErrorCode::invalid_argument,
                        fmt::format("tls-authz is '{}', and there is no TLS without tls-creds", parameters.tls_authz),
                        "set tls-creds too, or tls-authz to an empty text");
        }
        return terms;
    }
    const auto credentials = objects_.find(parameters.tls_creds);
    if (credentials == objects_.end()) {
        return fail(ErrorCode::not_found, fmt::format("No TLS credentials with id '{}'", parameters.tls_creds),
                    "object-add makes them, or --object on the command line");
    }
    const auto* found = std::get_if<std::shared_ptr<const TlsCredentials>>(&credentials->second);
    if (found == nullptr) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("Object with id '{}' is not TLS credentials", parameters.tls_creds));
    }
    terms.credentials = *found;
    terms.handshake_timeout = std::chrono::milliseconds(parameters.handshake_timeout_ms);
    if (direction == Direction::outgoing) {
        terms.hostname = parameters.tls_hostname;
        return terms;
    }
    if (!parameters.tls_authz.empty()) {
        const auto authorization = objects_.find(parameters.tls_authz);
        if (authorization == objects_.end()) {
            return fail(ErrorCode::not_found, fmt::format("No authorization object with id '{}'", parameters.tls_authz),
                        "object-add makes it: authz-simple or authz-list");
        }
        const auto* list = std::get_if<std::shared_ptr<const TlsAuthorization>>(&authorization->second);
        if (list == nullptr) {
            return fail(ErrorCode::invalid_argument,
                        fmt::format("Object with id '{}' is no authorization object", parameters.tls_authz));
        }
        terms.authorization = *list;
    }
    return terms;
}

}  // namespace godwit
