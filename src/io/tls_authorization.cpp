#include "io/tls_authorization.h"

#include <string_view>

namespace godwit {

namespace {

/// As in QEMU only '*' and '?' mean something in a pattern, so not `fnmatch`, which also can take for ever.
bool fits(std::string_view pattern, std::string_view name) {
    std::size_t at = 0;
    std::size_t in_name = 0;
    // Where to go on when what follows the last star did not fit: with one letter more for the star.
    std::size_t after_star = std::string_view::npos;
    std::size_t star_end = 0;
    while (in_name < name.size()) {
        if (at < pattern.size() && pattern[at] == '*') {
            after_star = ++at;
            star_end = in_name;
        } else if (at < pattern.size() && (pattern[at] == '?' || pattern[at] == name[in_name])) {
            ++at;
            ++in_name;
        } else if (after_star != std::string_view::npos) {
            at = after_star;
            in_name = ++star_end;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

}  // namespace

TlsAuthorization::TlsAuthorization(std::vector<Rule> rules, bool otherwise)
    : rules_(std::move(rules)), otherwise_(otherwise) {}

bool TlsAuthorization::allows(const std::string& name) const {
    // No name that anybody would give to a machine; an authority that lets it pass may be fooled by it.
    if (name.find('\0') != std::string::npos) {
        return false;
    }
    for (const Rule& rule : rules_) {
        if (rule.is_glob ? fits(rule.match, name) : rule.match == name) {
            return rule.allow;
        }
    }
    return otherwise_;
}

}  // namespace godwit
