#pragma once

#include <fmt/format.h>

#include "godwit/channel.h"
#include "godwit/parameters.h"

namespace godwit {

/// Whoever asked for TLS does not get a migration without it because an opener knew nothing of the parameter. Errors:
/// `unsupported`.
inline Status check_protection(const MigrationParameters& parameters, const ChannelTraits& traits) {
    if (parameters.tls_creds.empty() || traits.encrypted) {
        return {};
    }
    return fail(ErrorCode::unsupported,
                fmt::format("tls-creds is set, but the connection ({}) is not encrypted", traits.description),
                "use a kind of address that TLS works with, or set tls-creds to an empty text");
}

}  // namespace godwit
