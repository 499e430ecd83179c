#include "cli/migrate_settings.h"

#include <fmt/format.h>

#include <utility>

#include "base/printable.h"
#include "godwit/parameters.h"
#include "monitor/hmp_parser.h"

namespace godwit {

namespace {

Status wrong_value(const std::string& name, const char* expected) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' expects {}", printable(name), expected));
}

std::optional<bool> parse_state(const std::string& text) {
    if (text == "on" || text == "true") {
        return true;
    }
    return text == "off" || text == "false" ? std::optional(false) : std::nullopt;
}

bool is_capability(const Json& capabilities, const std::string& name) {
    for (const Json& entry : capabilities) {
        if (entry.is_object() && entry.value("capability", Json()) == name) {
            return true;
        }
    }
    return false;
}

/// What the machine calls it, if it is a name of former times that the machine does not know.
std::string present_name(const std::string& given, const Json& capabilities) {
    const ParameterInfo* known = find_parameter(given);
    return known == nullptr || is_capability(capabilities, given) ? given : std::string(known->name);
}

/// The value as the type of the present one wants it.
Result<Json> typed_value(const std::string& name, const std::string& text, const Json& present) {
    if (present.is_boolean()) {
        const auto state = parse_state(text);
        return state ? Result<Json>(*state) : fail(wrong_value(name, "on or off").error());
    }
    if (present.is_number()) {
        const auto number = parse_size(text, 1);
        return number ? Result<Json>(*number)
                      : fail(wrong_value(name, "a number; suffixes K, M, G count in powers of 1024").error());
    }
    return text;
}

Status add(const std::string& setting, const Json& capabilities, const Json& parameters, SettingRequests& requests) {
    const std::size_t middle = setting.find('=');
    if (middle == std::string::npos || middle == 0) {
        return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not of the form NAME=VALUE", printable(setting)));
    }
    // Messages have the name that was given.
    const std::string given = setting.substr(0, middle);
    const std::string name = present_name(given, capabilities);
    const std::string text = setting.substr(middle + 1);
    if (is_capability(capabilities, name)) {
        const auto state = parse_state(text);
        if (!state) {
            return wrong_value(given, "on or off");
        }
        requests.capabilities.push_back({{"capability", name}, {"state", *state}});
        return {};
    }
    const auto present = parameters.find(name);
    if (present == parameters.end()) {
        return fail(ErrorCode::not_found, fmt::format("the machine has no setting '{}'", printable(given)),
                    "'godwit migrate --help' lists those of godwit");
    }
    auto value = typed_value(given, text, *present);
    if (!value) {
        return fail(value.error());
    }
    requests.parameters[name] = std::move(*value);
    return {};
}

}  // namespace

Result<SettingRequests> setting_requests(const std::vector<std::string>& settings, const Json& capabilities,
                                         const Json& parameters) {
    SettingRequests requests;
    for (const std::string& setting : settings) {
        if (Status added = add(setting, capabilities, parameters, requests); !added) {
            return fail(added.error());
        }
    }
    return requests;
}

Status change_settings(QmpClient& client, const std::vector<std::string>& settings) {
    if (settings.empty()) {
        return {};
    }
    const auto capabilities = client.execute("query-migrate-capabilities");
    const auto parameters = capabilities ? client.execute("query-migrate-parameters") : capabilities;
    if (!parameters) {
        return fail(parameters.error());
    }
    const auto requests = setting_requests(settings, *capabilities, *parameters);
    if (!requests) {
        return fail(requests.error());
    }
    if (!requests->parameters.empty()) {
        if (auto answer = client.execute("migrate-set-parameters", requests->parameters); !answer) {
            return fail(answer.error());
        }
    }
    if (!requests->capabilities.empty()) {
        if (auto answer = client.execute("migrate-set-capabilities", {{"capabilities", requests->capabilities}});
            !answer) {
            return fail(answer.error());
        }
    }
    return {};
}

std::string settings_help() {
    std::string text;
    for (const ParameterInfo& info : parameter_table()) {
        text += fmt::format("  {:<28}{}{}{}\n", info.name, info.help, info.unit.empty() ? "" : ", in ", info.unit);
    }
    return text;
}

}  // namespace godwit
