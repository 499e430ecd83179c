#pragma once

#include <map>
#include <memory>
#include <string>
#include <variant>

#include "godwit/parameters.h"
#include "io/direction.h"
#include "io/tls_terms.h"

namespace godwit {

/// The TLS credentials and the lists of welcome names that the program has been told of, by their ids. Who uses one
/// keeps it, so that it may be removed at any time. Event loop's thread.
class TlsObjects {
public:
    using Object = std::variant<std::shared_ptr<const TlsCredentials>, std::shared_ptr<const TlsAuthorization>>;

    /// Errors: `invalid_argument` for an id that is none, or is taken, or when there are too many.
    Status add(const std::string& id, Object object);
    /// Errors: `not_found`.
    Status remove(const std::string& id);

    /// What `tls-creds`, `tls-hostname` and `tls-authz` stand for; without credentials when `tls-creds` is empty.
    /// Errors: `not_found`, `invalid_argument` for objects of another kind, and for a destination's `tls-authz` without
    /// `tls-creds`.
    Result<TlsTerms> terms(const MigrationParameters& parameters, Direction direction) const;

private:
    std::map<std::string, Object> objects_;
};

}  // namespace godwit
