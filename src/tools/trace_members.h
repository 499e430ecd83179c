#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "godwit/clock.h"
#include "godwit/error.h"
#include "monitor/json.h"

namespace godwit {

/// Takes members out of a line of a trace, and keeps the first complaint.
class TraceMembers {
public:
    explicit TraceMembers(const Json& line) : line_(line) {}

    bool has(const char* name) const { return line_.contains(name); }
    std::string text(const char* name) {
        const Json* found = find(name);
        return found != nullptr && check(found->is_string(), name, "text") ? found->get<std::string>() : "";
    }
    std::string text_if_any(const char* name) { return has(name) ? text(name) : ""; }
    std::uint64_t count(const char* name) {
        const Json* found = find(name);
        return found != nullptr && check(found->is_number_unsigned(), name, "a count") ? found->get<std::uint64_t>()
                                                                                       : 0;
    }
    std::optional<std::uint64_t> count_if_any(const char* name) {
        return has(name) ? std::optional(count(name)) : std::nullopt;
    }
    double number(const char* name) {
        const Json* found = find(name);
        const double value = found != nullptr && found->is_number() ? found->get<double>() : -1;
        return found != nullptr && check(std::isfinite(value) && value >= 0, name, "a number") ? value : 0;
    }
    bool flag(const char* name) {
        const Json* found = find(name);
        return found != nullptr && check(found->is_boolean(), name, "true or false") && found->get<bool>();
    }
    Duration time(const char* name) {
        const std::uint64_t value = count(name);
        const bool fits = value <= static_cast<std::uint64_t>(std::numeric_limits<Duration::rep>::max());
        return check(fits, name, "a time") ? Duration(static_cast<Duration::rep>(value)) : Duration::zero();
    }
    std::optional<Duration> time_if_any(const char* name) {
        return has(name) ? std::optional(time(name)) : std::nullopt;
    }
    /// Empty: all was well.
    const std::string& complaint() const { return complaint_; }

private:
    const Json* find(const char* name) {
        const auto found = line_.find(name);
        return check(found != line_.end(), name, "there") ? &*found : nullptr;
    }
    bool check(bool fine, const char* name, const char* kind) {
        if (!fine && complaint_.empty()) {
            complaint_ = std::string("'") + name + "' is not " + kind;
        }
        return fine;
    }

    const Json& line_;
    std::string complaint_;
};

}  // namespace godwit
