#include "monitor/command_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/assert.h"

namespace godwit {

namespace {

Status check_value(const Argument& argument, const Json& value, const std::string& path);

Status wrong_type(const std::string& path, std::string_view expected) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("Invalid parameter type for '{}', expected: {}", path, expected));
}

Status check_members(const std::vector<Argument>& schema, const Json& object, const std::string& prefix) {
    for (const auto& [name, value] : object.items()) {
        const auto known =
            std::find_if(schema.begin(), schema.end(), [&name = name](const Argument& a) { return a.name == name; });
        if (known == schema.end()) {
            return fail(ErrorCode::invalid_argument, fmt::format("Parameter '{}' is unexpected", prefix + name));
        }
        if (auto status = check_value(*known, value, prefix + name); !status) {
            return status;
        }
    }
    for (const Argument& argument : schema) {
        if (!argument.optional && !object.contains(argument.name)) {
            return fail(ErrorCode::invalid_argument, fmt::format("Parameter '{}' is missing", prefix + argument.name));
        }
    }
    return {};
}

Status check_word(const Argument& argument, const std::string& word) {
    if (argument.words.empty() ||
        std::find(argument.words.begin(), argument.words.end(), word) != argument.words.end()) {
        return {};
    }
    return fail(ErrorCode::invalid_argument,
                fmt::format("Parameter '{}' does not accept value '{}'", argument.name, word));
}

Status check_elements(const Argument& argument, const Json& array, const std::string& path) {
    GODWIT_ASSERT(argument.members.size() == 1, "array '{}' must describe its elements by one member", argument.name);
    for (std::size_t i = 0; i < array.size(); ++i) {
        if (auto status = check_value(argument.members.front(), array[i], fmt::format("{}[{}]", path, i)); !status) {
            return status;
        }
    }
    return {};
}

Status check_value(const Argument& argument, const Json& value, const std::string& path) {
    switch (argument.type) {
        case ArgumentType::string:
            return value.is_string() ? check_word(argument, value.get_ref<const std::string&>())
                                     : wrong_type(path, "string");
        case ArgumentType::boolean:
            return value.is_boolean() ? Status() : wrong_type(path, "boolean");
        case ArgumentType::uint64:
        case ArgumentType::size:
            if (to_size(value) && (argument.type == ArgumentType::size || !value.is_number_float())) {
                return {};
            }
            return fail(ErrorCode::invalid_argument, fmt::format("Parameter '{}' expects uint64", path));
        case ArgumentType::number:
            return value.is_number() ? Status() : wrong_type(path, "number");
        case ArgumentType::array:
            return value.is_array() ? check_elements(argument, value, path) : wrong_type(path, "array");
        case ArgumentType::object:
            return value.is_object() ? check_members(argument.members, value, path + ".") : wrong_type(path, "object");
    }
    return {};
}

}  // namespace

std::optional<std::uint64_t> to_size(const Json& value) {
    // The parser makes an integer that fits none of its types a double.
    constexpr double beyond_uint64 = 18446744073709551616.0;
    if (value.is_number_float()) {
        const double given = value.get<double>();
        return given >= beyond_uint64 ? std::optional(std::numeric_limits<std::uint64_t>::max()) : std::nullopt;
    }
    const bool fits = value.is_number_unsigned() || (value.is_number_integer() && value.get<std::int64_t>() >= 0);
    return fits ? std::optional(value.get<std::uint64_t>()) : std::nullopt;
}

void CommandTable::add(Command command) {
    GODWIT_ASSERT(command.handler, "command '{}' has no handler", command.name);
    std::string name = command.name;
    const bool added = commands_.emplace(std::move(name), std::move(command)).second;
    GODWIT_ASSERT(added, "a command was added twice; look for two entries of the same name");
}

const Command* CommandTable::find(std::string_view name) const {
    const auto found = commands_.find(name);
    return found == commands_.end() ? nullptr : &found->second;
}

Status check_arguments(const std::vector<Argument>& schema, const Json& arguments) {
    GODWIT_ASSERT(arguments.is_object(), "arguments are an object; check that before");
    return check_members(schema, arguments, "");
}

}  // namespace godwit
