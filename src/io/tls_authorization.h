#pragma once

#include <string>
#include <vector>

namespace godwit {

/// Which names in certificates are welcome: QEMU's `authz-simple` and `authz-list`. Any thread; nothing changes.
class TlsAuthorization {
public:
    struct Rule {
        std::string match;
        bool allow = true;
        /// `match` may hold `*` and `?`.
        bool is_glob = false;
    };

    /// The first rule that fits decides; where none does, `otherwise`.
    TlsAuthorization(std::vector<Rule> rules, bool otherwise);

    bool allows(const std::string& name) const;

private:
    const std::vector<Rule> rules_;
    const bool otherwise_;
};

}  // namespace godwit
