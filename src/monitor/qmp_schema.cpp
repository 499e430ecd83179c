#include "monitor/qmp_schema.h"

#include <array>
#include <string>
#include <utility>

namespace godwit {

namespace {

struct Event {
    const char* name;
    std::vector<Argument> members;
};

const std::vector<Event>& events() {
    static const std::vector<Event> all{
        {"MIGRATION", {{"status", ArgumentType::string}}},
        {"MIGRATION_PASS", {{"pass", ArgumentType::uint64}}},
        {"RESET", {{"guest", ArgumentType::boolean}, {"reason", ArgumentType::string}}},
        {"RESUME", {}},
        {"SHUTDOWN", {{"guest", ArgumentType::boolean}, {"reason", ArgumentType::string}}},
        {"STOP", {}},
        {"X_GODWIT_CONVERGENCE",
         {{"verdict", ArgumentType::string, false, "", {}, {"unknown", "converging", "stalled"}},
          {"smallest-remaining", ArgumentType::uint64, true},
          {"advice", ArgumentType::string, true}}},
    };
    return all;
}

class SchemaWriter {
public:
    SchemaWriter() {
        constexpr std::array<std::pair<const char*, const char*>, 6> builtin{{
            {"str", "string"},
            {"bool", "boolean"},
            {"int", "int"},
            {"number", "number"},
            {"null", "null"},
            {"any", "value"},
        }};
        for (const auto& [name, json_type] : builtin) {
            entries_.push_back({{"name", name}, {"meta-type", "builtin"}, {"json-type", json_type}});
        }
    }

    void add(const Command& command) {
        const std::string arguments = object(command.arguments);
        entries_.push_back({{"name", command.name},
                            {"meta-type", "command"},
                            {"arg-type", arguments},
                            {"ret-type", "any"},
                            {"allow-oob", command.allow_oob}});
    }
    void add(const Event& event) {
        const std::string members = object(event.members);
        entries_.push_back({{"name", event.name}, {"meta-type", "event"}, {"arg-type", members}});
    }
    Json take() { return std::move(entries_); }

private:
    std::string next_name() { return std::to_string(next_++); }

    std::string object(const std::vector<Argument>& arguments, const std::vector<Argument::Variant>& variants = {}) {
        Json members = Json::array();
        for (const Argument& argument : arguments) {
            Json member = {{"name", argument.name}, {"type", type_of(argument)}};
            if (argument.optional) {
                member["default"] = nullptr;
            }
            members.push_back(std::move(member));
        }
        Json cases = Json::array();
        for (const Argument::Variant& variant : variants) {
            cases.push_back({{"case", variant.word}, {"type", object(variant.members)}});
        }
        std::string name = next_name();
        Json entry = {{"name", name}, {"meta-type", "object"}, {"members", std::move(members)}};
        if (!variants.empty()) {
            entry["tag"] = arguments.front().name;
            entry["variants"] = std::move(cases);
        }
        entries_.push_back(std::move(entry));
        return name;
    }
    std::string enumeration(const std::vector<std::string>& words) {
        Json members = Json::array();
        for (const std::string& word : words) {
            members.push_back({{"name", word}});
        }
        std::string name = next_name();
        entries_.push_back({{"name", name}, {"meta-type", "enum"}, {"members", std::move(members)}, {"values", words}});
        return name;
    }
    std::string array(const Argument& element) {
        const std::string of = type_of(element);
        std::string name = "[" + of + "]";
        entries_.push_back({{"name", name}, {"meta-type", "array"}, {"element-type", of}});
        return name;
    }
    std::string string_or_null() {
        std::string name = next_name();
        entries_.push_back({{"name", name},
                            {"meta-type", "alternate"},
                            {"members", Json::array({{{"type", "str"}}, {{"type", "null"}}})}});
        return name;
    }
    std::string type_of(const Argument& argument) {
        switch (argument.type) {
            case ArgumentType::string:
                return argument.words.empty() ? "str" : enumeration(argument.words);
            case ArgumentType::string_or_null:
                return string_or_null();
            case ArgumentType::boolean:
                return "bool";
            case ArgumentType::integer:
            case ArgumentType::uint64:
            case ArgumentType::size:
                return "int";
            case ArgumentType::number:
                return "number";
            case ArgumentType::array:
                return array(argument.members.front());
            case ArgumentType::object:
                return object(argument.members, argument.variants);
        }
        return "any";
    }

    Json entries_ = Json::array();
    unsigned next_ = 0;
};

}  // namespace

Json qmp_schema(const CommandTable& commands) {
    SchemaWriter schema;
    for (const auto& [name, command] : commands.all()) {
        schema.add(command);
    }
    for (const Event& event : events()) {
        schema.add(event);
    }
    return schema.take();
}

}  // namespace godwit
