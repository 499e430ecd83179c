#include "cli/object_argument.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "io/comma_options.h"

namespace godwit {

namespace {

constexpr const char* form = "--object KIND,id=NAME,KEY=VALUE...";
constexpr std::size_t max_rules = 1024;

/// "rules.0.match" is a member of the first element of a list.
Json* place_in_rules(Json& arguments, std::string_view key) {
    constexpr std::string_view prefix = "rules.";
    key.remove_prefix(prefix.size());
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index);
    const std::string_view rest(end, static_cast<std::size_t>(key.data() + key.size() - end));
    if (error != std::errc() || rest.size() < 2 || rest.front() != '.' || index >= max_rules) {
        return nullptr;
    }
    Json& rules = arguments["rules"];
    if (rules.is_null()) {
        rules = Json::array();
    }
    if (index > rules.size()) {
        return nullptr;
    }
    if (index == rules.size()) {
        rules.push_back(Json::object());
    }
    return &rules[index][std::string(rest.substr(1))];
}

}  // namespace

Result<Json> parse_object_argument(const std::string& text) {
    std::string_view left = text;
    Json arguments{{"qom-type", take_comma_option(left)}};
    while (!left.empty()) {
        const std::string option = take_comma_option(left);
        const std::size_t equals = option.find('=');
        if (equals == std::string::npos || equals == 0) {
            return fail(ErrorCode::invalid_argument, fmt::format("'{}' in --object is not KEY=VALUE", option), form);
        }
        const std::string key = option.substr(0, equals);
        const std::string value = option.substr(equals + 1);
        if (key == "rules") {
            return fail(ErrorCode::invalid_argument, "'rules' in --object is a list, and has no value of its own",
                        "rules.0.match=NAME,rules.0.policy=allow");
        }
        Json* place = key.starts_with("rules.") ? place_in_rules(arguments, key) : &arguments[key];
        if (place == nullptr || !place->is_null()) {
            return fail(ErrorCode::invalid_argument,
                        fmt::format("'{}' in --object is {}", key, place == nullptr ? "malformed" : "there twice"),
                        form);
        }
        const bool is_switch = key == "verify-peer" || key == "sanity-check";
        if (is_switch && (value == "on" || value == "off")) {
            *place = value == "on";
        } else {
            *place = value;
        }
    }
    return arguments;
}

}  // namespace godwit
