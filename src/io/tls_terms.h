#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "godwit/clock.h"
#include "io/tls_authorization.h"
#include "io/tls_credentials.h"

namespace godwit {

/// What a connection is protected with.
struct TlsTerms {
    /// Null: it is not.
    std::shared_ptr<const TlsCredentials> credentials;
    /// Of a client with certificates: the name that the server's has to have; empty: the host of the address.
    std::string hostname;
    /// Of a server with certificates: who is welcome; null: all that the authority has signed.
    std::shared_ptr<const TlsAuthorization> authorization;
    Duration handshake_timeout = std::chrono::seconds(5);
};

}  // namespace godwit
