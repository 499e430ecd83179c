#include "tools/ignored_names.h"

#include <fmt/format.h>
#include <fnmatch.h>

namespace godwit {

IgnoredNames::IgnoredNames(const std::vector<std::string>& patterns) {
    for (const std::string& pattern : patterns) {
        std::string quoted;
        for (const char c : pattern) {
            // Names have brackets.
            quoted += c == '[' || c == '\\' ? std::string("\\") + c : std::string(1, c);
        }
        patterns_.push_back(std::move(quoted));
    }
}

bool IgnoredNames::matches(std::string_view section, std::uint32_t instance, std::string_view path) const {
    if (patterns_.empty()) {
        return false;
    }
    const std::string rest = path.empty() ? "" : fmt::format("/{}", path);
    return matches_name(fmt::format("{}{}", section, rest)) ||
           matches_name(fmt::format("{}:{}{}", section, instance, rest));
}

bool IgnoredNames::matches_name(const std::string& name) const {
    for (std::size_t end = 1; end <= name.size(); ++end) {
        if (end < name.size() && std::string_view("/.[ ").find(name[end]) == std::string_view::npos) {
            continue;
        }
        const std::string part = name.substr(0, end);
        for (const std::string& pattern : patterns_) {
            if (::fnmatch(pattern.c_str(), part.c_str(), 0) == 0) {
                return true;
            }
        }
    }
    return false;
}

}  // namespace godwit
