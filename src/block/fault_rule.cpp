#include "block/fault_rule.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <optional>
#include <utility>

namespace godwit {

namespace {

using Operation = FaultRule::Operation;

constexpr std::array<std::pair<std::string_view, Operation>, 4> operations{{{"read", Operation::read},
                                                                            {"write", Operation::write},
                                                                            {"flush", Operation::flush},
                                                                            {"write-zeroes", Operation::write_zeroes}}};

constexpr std::array<std::pair<std::string_view, int>, 6> error_names{{{"EIO", EIO},
                                                                       {"ENOSPC", ENOSPC},
                                                                       {"EDQUOT", EDQUOT},
                                                                       {"EROFS", EROFS},
                                                                       {"ENOMEM", ENOMEM},
                                                                       {"ETIMEDOUT", ETIMEDOUT}}};
/// MAX_ERRNO of Linux.
constexpr std::uint64_t largest_error_number = 4095;

template <typename Table>
auto find_in(const Table& table, std::string_view name) -> std::optional<decltype(table[0].second)> {
    for (const auto& [known, value] : table) {
        if (known == name) {
            return value;
        }
    }
    return std::nullopt;
}

std::optional<std::uint64_t> number_in(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

/// What stands before the next `separator`, which is taken off `text` with it.
std::string_view take_part(std::string_view& text, char separator) {
    const std::size_t length = text.find(separator);
    const std::string_view part = text.substr(0, length);
    text.remove_prefix(length == std::string_view::npos ? text.size() : length + 1);
    return part;
}

tl::unexpected<Error> malformed(std::string_view rule, std::string_view what) {
    return fail(ErrorCode::invalid_argument, fmt::format("the fault rule '{}' has no valid {}", rule, what),
                "write OP:N:ERRNO or OP:N:delay=MS, with OP one of read, write, flush, write-zeroes");
}

/// The deed of a rule: what stands after the second colon.
bool parse_deed(std::string_view deed, FaultRule& rule) {
    constexpr std::string_view slow = "delay=";
    if (deed.starts_with(slow)) {
        const auto delay_ms = number_in(deed.substr(slow.size()));
        if (!delay_ms || *delay_ms > static_cast<std::uint64_t>(max_fault_delay.count())) {
            return false;
        }
        rule.delay = std::chrono::milliseconds(*delay_ms);
        return true;
    }
    if (const auto named = find_in(error_names, deed)) {
        rule.error_number = *named;
        return true;
    }
    const auto number = number_in(deed);
    if (!number || *number == 0 || *number > largest_error_number) {
        return false;
    }
    rule.error_number = static_cast<int>(*number);
    return true;
}

Result<FaultRule> parse_rule(std::string_view text) {
    std::string_view rest = text;
    FaultRule rule;
    const auto operation = find_in(operations, take_part(rest, ':'));
    if (!operation) {
        return malformed(text, "operation");
    }
    rule.operation = *operation;
    const auto nth = number_in(take_part(rest, ':'));
    if (!nth) {
        return malformed(text, "number of the request");
    }
    rule.nth = *nth;
    if (!parse_deed(rest, rule)) {
        return malformed(text, "error number or delay (at most 60000 ms)");
    }
    return rule;
}

}  // namespace

Result<std::vector<FaultRule>> parse_fault_rules(std::string_view text) {
    std::vector<FaultRule> rules;
    // A "+" at the end announces a rule that does not come.
    bool more = true;
    while (more) {
        if (rules.size() == max_fault_rules) {
            return fail(ErrorCode::invalid_argument, fmt::format("more than {} fault rules", max_fault_rules));
        }
        more = text.find('+') != std::string_view::npos;
        auto rule = parse_rule(take_part(text, '+'));
        if (!rule) {
            return fail(rule.error());
        }
        rules.push_back(*rule);
    }
    return rules;
}

std::string_view to_string(FaultRule::Operation operation) {
    for (const auto& [name, value] : operations) {
        if (value == operation) {
            return name;
        }
    }
    return "unknown";
}

}  // namespace godwit
