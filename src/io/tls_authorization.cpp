#include "io/tls_authorization.h"

#include <fnmatch.h>

namespace godwit {

bool TlsAuthorization::allows(const std::string& name) const {
    for (const Rule& rule : rules_) {
        const bool fits = rule.is_glob ? ::fnmatch(rule.match.c_str(), name.c_str(), 0) == 0 : rule.match == name;
        if (fits) {
            return rule.allow;
        }
    }
    return otherwise_;
}

}  // namespace godwit
