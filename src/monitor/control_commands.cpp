#include "monitor/control_commands.h"

#include <algorithm>

namespace godwit {

namespace {

/// What there is to be yanked, in the form in which yank takes it.
Json instances(const MigrationService& service) {
    Json list = Json::array();
    switch (service.statistics().state) {
        case MigrationState::none:
        case MigrationState::completed:
        case MigrationState::failed:
        case MigrationState::cancelled:
            break;
        default:
            list.push_back({{"type", "migration"}});
            break;
    }
    return list;
}

/// All or, when one of them does not exist, none.
Result<Json> yank(MigrationService& service, const Json& wanted) {
    const Json existing = instances(service);
    for (const Json& instance : wanted) {
        if (std::find(existing.begin(), existing.end(), instance) == existing.end()) {
            return fail(ErrorCode::not_found, "Instance not found");
        }
    }
    if (!wanted.empty()) {
        service.yank();
    }
    return Json::object();
}

void add_yank(CommandTable& commands, MigrationService& service) {
    Argument instance{"instance",
                      ArgumentType::object,
                      false,
                      "",
                      {{"type", ArgumentType::string, false, "", {}, {"block-node", "chardev", "migration"}}}};
    instance.variants = {{"block-node", {{"node-name", ArgumentType::string}}},
                         {"chardev", {{"id", ArgumentType::string}}},
                         {"migration", {}}};
    commands.add({"yank",
                  "Breaks connections off at once, the way out of a hang; only a migration's is there ever.",
                  {{"instances", ArgumentType::array, false, "what to break off, as query-yank tells it", {instance}}},
                  [&service](const Json& arguments, CommandClient&) { return yank(service, arguments["instances"]); },
                  true,
                  "DeviceNotFound"});
    commands.add({"query-yank",
                  "What yank can break off now.",
                  {},
                  [&service](const Json&, CommandClient&) -> Result<Json> { return instances(service); },
                  true});
}

void add_announce_self(CommandTable& commands) {
    commands.add(
        {"announce-self",
         "Does nothing: there is no network card that could announce itself.",
         {{"initial", ArgumentType::integer, true, "milliseconds before the second announcement"},
          {"max", ArgumentType::integer, true, "longest time between two announcements, in milliseconds"},
          {"rounds", ArgumentType::integer, true, "number of announcements"},
          {"step", ArgumentType::integer, true, "by how much the time between them grows, in milliseconds"},
          {"interfaces", ArgumentType::array, true, "names of network cards", {{"interface", ArgumentType::string}}},
          {"id", ArgumentType::string, true, "a name for the timer"}},
         [](const Json&, CommandClient&) -> Result<Json> { return Json::object(); }});
}

}  // namespace

void add_control_commands(CommandTable& commands, MigrationService& service) {
    add_yank(commands, service);
    add_announce_self(commands);
}

}  // namespace godwit
