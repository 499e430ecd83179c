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

Status check_known_members(const std::vector<Argument>& schema, const Json& object, const std::string& prefix) {
    for (const Argument& argument : schema) {
        const auto value = object.find(argument.name);
        if (value == object.end()) {
            if (!argument.optional) {
                return fail(ErrorCode::invalid_argument,
                            fmt::format("Parameter '{}' is missing", prefix + argument.name));
            }
        } else if (auto status = check_value(argument, *value, prefix + argument.name); !status) {
            return status;
        }
    }
    return {};
}

/// As in QEMU, what is in the schema is looked at first, in the schema's order.
Status check_members(const std::vector<Argument>& schema, const Json& object, const std::string& prefix) {
    if (auto status = check_known_members(schema, object, prefix); !status) {
        return status;
    }
    for (const auto& [name, value] : object.items()) {
        if (std::none_of(schema.begin(), schema.end(), [&name = name](const Argument& a) { return a.name == name; })) {
            return fail(ErrorCode::invalid_argument, fmt::format("Parameter '{}' is unexpected", prefix + name));
        }
    }
    return {};
}

Status check_object(const Argument& argument, const Json& object, const std::string& prefix) {
    if (argument.variants.empty()) {
        return check_members(argument.members, object, prefix);
    }
    if (auto status = check_known_members(argument.members, object, prefix); !status) {
        return status;
    }
    std::vector<Argument> members = argument.members;
    for (const Argument::Variant& variant : argument.variants) {
        if (object[members.front().name] == variant.word) {
            members.insert(members.end(), variant.members.begin(), variant.members.end());
            break;
        }
    }
    return check_members(members, object, prefix);
}

bool is_int64(const Json& value) {
    if (value.is_number_unsigned()) {
        return value.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    }
    return value.is_number_integer();
}

Status check_word(const Argument& argument, const std::string& word) {
    const auto has_it = [&](const std::vector<std::string>& words) {
        return std::find(words.begin(), words.end(), word) != words.end();
    };
    if (argument.words.empty() || has_it(argument.words) || has_it(argument.former_words)) {
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
        case ArgumentType::string_or_null:
            return value.is_string() || value.is_null() ? Status() : wrong_type(path, "StrOrNull");
        case ArgumentType::boolean:
            return value.is_boolean() ? Status() : wrong_type(path, "boolean");
        case ArgumentType::integer:
            return is_int64(value) ? Status() : wrong_type(path, "integer");
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
            return value.is_object() ? check_object(argument, value, path + ".") : wrong_type(path, "object");
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
