#include "monitor/hmp_settings.h"

#include <fmt/format.h>

#include <utility>

#include "godwit/parameters.h"
#include "monitor/hmp_parser.h"

namespace godwit {

namespace {

constexpr std::uint64_t mib_bytes = std::uint64_t{1} << 20;
constexpr std::string_view setter = "migrate-set-parameters";

std::uint64_t default_unit_bytes(std::string_view parameter) {
    const bool in_mib = parameter == "max-bandwidth" || parameter == "avail-switchover-bandwidth";
    return in_mib ? mib_bytes : 1;
}

Result<Json> number_value(const std::string& parameter, const std::string& text) {
    const std::uint64_t unit_bytes = default_unit_bytes(parameter);
    const auto number = parse_size(text, unit_bytes);
    if (!number) {
        return unit_bytes != 1 ? fail(number.error())
                               : fail(ErrorCode::invalid_argument,
                                      fmt::format("Parameter '{}' expects a non-negative number below 2^64", parameter),
                                      "a suffix K, M, G, T, P or E multiplies by a power of 1024");
    }
    return *number;
}

/// A word as the type of the parameter wants it. What is not known goes on as it is: the command of QMP refuses it.
Result<Json> parameter_value(const Argument* argument, const std::string& parameter, const std::string& text) {
    if (argument == nullptr) {
        return text;
    }
    switch (argument->type) {
        case ArgumentType::boolean: {
            const auto state = parse_switch(text, true);
            return state ? Result<Json>(*state)
                         : fail(ErrorCode::invalid_argument,
                                fmt::format("Parameter '{}' expects 'on' or 'off'", parameter));
        }
        case ArgumentType::uint64:
        case ArgumentType::integer:
        case ArgumentType::size:
            return number_value(parameter, text);
        case ArgumentType::number: {
            const auto number = parse_seconds(text);
            return number
                       ? Result<Json>(*number)
                       : fail(ErrorCode::invalid_argument, fmt::format("Parameter '{}' expects a number", parameter));
        }
        case ArgumentType::string:
        case ArgumentType::string_or_null:
            return text;
        case ArgumentType::array:
        case ArgumentType::object:
            return fail(ErrorCode::unsupported, fmt::format("Parameter '{}' is not made of one word", parameter),
                        "set it over QMP, with migrate-set-parameters");
    }
    return text;
}

/// As QEMU writes them; a number of anything else stands alone.
std::string_view unit_suffix(std::string_view unit) {
    if (unit == "ms") {
        return " ms";
    }
    if (unit == "bytes") {
        return " bytes";
    }
    return unit == "bytes per second" ? " bytes/second" : "";
}

std::string shown(const Argument* argument, std::string_view name, const Json& value) {
    if (value.is_boolean()) {
        return value.get<bool>() ? "on" : "off";
    }
    if (value.is_string()) {
        const bool one_of_few = argument != nullptr && !argument->words.empty();
        return one_of_few ? value.get<std::string>() : fmt::format("'{}'", value.get_ref<const std::string&>());
    }
    const ParameterInfo* info = find_parameter(name);
    return fmt::format("{}{}", to_text(value), info == nullptr ? "" : unit_suffix(info->unit));
}

}  // namespace

Result<HmpReply> set_capability(HmpCall& call, const Json& given) {
    const auto answer = call.ask("migrate-set-capabilities", {{"capabilities", Json::array({given})}});
    return answer ? Result<HmpReply>(HmpReply()) : fail(answer.error());
}

Result<HmpReply> set_parameter_by_name(HmpCall& call, const Json& given) {
    const auto& parameter = given["parameter"].get_ref<const std::string&>();
    auto value = parameter_value(find_argument(call.commands(), setter, parameter), parameter,
                                 given["value"].get_ref<const std::string&>());
    if (!value) {
        return fail(value.error());
    }
    const auto answer = call.ask(setter, {{parameter, std::move(*value)}});
    return answer ? Result<HmpReply>(HmpReply()) : fail(answer.error());
}

Result<HmpReply> show_parameters(HmpCall& call, const Json&) {
    const auto values = call.ask("query-migrate-parameters");
    if (!values) {
        return fail(values.error());
    }
    HmpReply reply;
    for (const auto& [name, value] : values->items()) {
        reply.text += fmt::format("{}: {}\n", name, shown(find_argument(call.commands(), setter, name), name, value));
    }
    return reply;
}

std::vector<std::string> capability_names(const CommandTable& commands) {
    const Argument* list = find_argument(commands, "migrate-set-capabilities", "capabilities");
    if (list == nullptr || list->members.empty()) {
        return {};
    }
    for (const Argument& member : list->members.front().members) {
        if (member.name == "capability") {
            return member.words;
        }
    }
    return {};
}

std::vector<std::string> parameter_names(const CommandTable& commands) {
    std::vector<std::string> names;
    if (const Command* command = commands.find(setter)) {
        for (const Argument& argument : command->arguments) {
            names.push_back(argument.name);
        }
    }
    return names;
}

std::vector<std::string> parameter_choices(const CommandTable& commands, const std::string& parameter) {
    const Argument* argument = find_argument(commands, setter, parameter);
    if (argument == nullptr) {
        return {};
    }
    return argument->type == ArgumentType::boolean ? std::vector<std::string>{"on", "off"} : argument->words;
}

}  // namespace godwit
