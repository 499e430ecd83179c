#include "monitor/basic_commands.h"

#include <utility>

#include "monitor/qmp_schema.h"
#include "monitor/qmp_session.h"

namespace godwit {

namespace {

std::string_view type_name(ArgumentType type) {
    switch (type) {
        case ArgumentType::string:
            return "string";
        case ArgumentType::string_or_null:
            return "string or null";
        case ArgumentType::boolean:
            return "boolean";
        case ArgumentType::integer:
            return "integer";
        case ArgumentType::uint64:
            return "uint64";
        case ArgumentType::size:
            return "size";
        case ArgumentType::number:
            return "number";
        case ArgumentType::array:
            return "array";
        case ArgumentType::object:
            return "object";
    }
    return "";
}

Json describe(const Command& command) {
    Json arguments = Json::array();
    for (const Argument& argument : command.arguments) {
        arguments.push_back({{"name", argument.name},
                             {"type", type_name(argument.type)},
                             {"optional", argument.optional},
                             {"help", argument.help}});
    }
    return {{"name", command.name}, {"x-godwit-help", command.help}, {"x-godwit-arguments", std::move(arguments)}};
}

}  // namespace

void add_basic_commands(CommandTable& commands, std::function<void()> quit) {
    // The session does the rest of the negotiation.
    commands.add({"qmp_capabilities",
                  "Ends the negotiation; has to be the first command.",
                  {{"enable",
                    ArgumentType::array,
                    true,
                    "capabilities of the protocol to switch on: oob, the out-of-band execution of some commands",
                    {{"enable", ArgumentType::string, false, "", {}, {std::string(oob_capability)}}}}},
                  [](const Json&, CommandClient&) -> Result<Json> { return Json::object(); }});
    commands.add({"query-commands",
                  "The commands of this monitor.",
                  {},
                  [&commands](const Json&, CommandClient&) -> Result<Json> {
                      Json list = Json::array();
                      for (const auto& [name, command] : commands.all()) {
                          list.push_back(describe(command));
                      }
                      return list;
                  }});
    commands.add({"query-qmp-schema",
                  "The commands, their arguments and the events, in the form of QEMU's introspection.",
                  {},
                  [&commands](const Json&, CommandClient&) -> Result<Json> { return qmp_schema(commands); }});
    commands.add({"query-version", "The version of this program.", {}, [](const Json&, CommandClient&) -> Result<Json> {
                      return version_info();
                  }});
    commands.add(
        {"quit", "Ends the program.", {}, [quit = std::move(quit)](const Json&, CommandClient&) -> Result<Json> {
             quit();
             return Json::object();
         }});
}

}  // namespace godwit
