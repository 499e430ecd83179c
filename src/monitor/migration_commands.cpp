#include "monitor/migration_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "monitor/migration_report.h"

namespace godwit {

namespace {

Result<Json> done(const Status& status) {
    if (!status) {
        return fail(status.error());
    }
    return Json::object();
}

Json to_json(const ParameterValue& value) {
    return std::visit([](const auto& plain) { return Json(plain); }, value);
}

/// `value` outlives what is returned.
ParameterValue to_parameter_value(const Json& value) {
    if (value.is_string()) {
        return std::string_view(value.get_ref<const std::string&>());
    }
    if (value.is_null()) {
        return std::string_view();  // as in QEMU
    }
    return value.is_boolean() ? ParameterValue(value.get<bool>()) : ParameterValue(*to_size(value));
}

Status start_migration(MigrationService& service, const Json& arguments) {
    if (arguments.value("resume", false)) {
        return fail(ErrorCode::unsupported,
                    "Parameter 'resume' cannot be used: resuming a postcopy migration is not supported yet");
    }
    return service.migrate({arguments["uri"].get<std::string>(),
                            {.block = arguments.value("blk", false), .incremental = arguments.value("inc", false)}});
}

void add_start_and_end(CommandTable& commands, MigrationService& service) {
    const Argument uri{"uri", ArgumentType::string, false,
                       "tcp:HOST:PORT, rdma:HOST:PORT, unix:PATH, fd:NAME, exec:COMMAND or file:PATH"};
    commands.add(
        {"migrate",
         "Starts to move the machine and returns at once; query-migrate tells how it goes.",
         {uri,
          {"detach", ArgumentType::boolean, true, "ignored"},
          {"blk", ArgumentType::boolean, true, "with the disks, as with the capability block"},
          {"inc", ArgumentType::boolean, true,
           "with what the topmost layers of the disks hold, as with block-incremental too"},
          {"resume", ArgumentType::boolean, true, "not supported"}},
         [&service](const Json& arguments, CommandClient&) { return done(start_migration(service, arguments)); }});
    commands.add({"migrate_cancel",
                  "Ends the outgoing migration; the guest goes on here. Does nothing when none runs.",
                  {},
                  [&service](const Json&, CommandClient&) { return done(service.cancel()); },
                  true});
    Argument state{"state", ArgumentType::string, false, "the state that is to be left: pre-switchover"};
    state.words = {"none",   "setup",     "cancelling", "cancelled",     "active",
                   "device", "completed", "failed",     "pre-switchover"};
    commands.add({"migrate-continue",
                  "Lets a migration go on that waits with the guest stopped (capability pause-before-switchover).",
                  {state},
                  [&service](const Json& arguments, CommandClient&) -> Result<Json> {
                      if (arguments["state"] != to_string(MigrationState::pre_switchover)) {
                          return fail(ErrorCode::wrong_state, fmt::format("Migration not in expected state: {}",
                                                                          to_string(service.statistics().state)));
                      }
                      return done(service.continue_switchover());
                  }});
    commands.add({"migrate-incoming",
                  "Begins to wait for the machine that is to arrive here, after a start with '--incoming defer'.",
                  {uri},
                  [&service](const Json& arguments, CommandClient&) {
                      return done(service.receive(arguments["uri"].get<std::string>()));
                  }});
    commands.add({"query-migrate",
                  "The state and the figures of the last migration.",
                  {},
                  [&service](const Json&, CommandClient&) -> Result<Json> {
                      return migration_report(service.statistics(), service.listening_address(), service.is_incoming(),
                                              service.blocked_reasons());
                  }});
}

ArgumentType type_of(const ParameterInfo& info) {
    if (!info.words.empty()) {
        return ArgumentType::string;
    }
    if (std::holds_alternative<std::string MigrationParameters::*>(info.member)) {
        return ArgumentType::string_or_null;
    }
    if (std::holds_alternative<bool MigrationParameters::*>(info.member)) {
        return ArgumentType::boolean;
    }
    return info.saturates ? ArgumentType::size : ArgumentType::uint64;
}

std::vector<Argument> parameter_arguments() {
    std::vector<Argument> arguments;
    for (const ParameterInfo& info : parameter_table()) {
        if (!info.capability) {
            Argument argument{std::string(info.name), type_of(info), true,
                              fmt::format("{}{}{}", info.help, info.unit.empty() ? "" : ", in ", info.unit)};
            argument.words.assign(info.words.begin(), info.words.end());
            arguments.push_back(std::move(argument));
        }
    }
    return arguments;
}

void add_parameters(CommandTable& commands, MigrationService& service) {
    commands.add({"migrate-set-parameters", "Changes the parameters that are given.", parameter_arguments(),
                  [&service](const Json& arguments, CommandClient&) {
                      std::vector<ParameterChange> changes;
                      for (const auto& [name, value] : arguments.items()) {
                          const ParameterInfo* info = find_parameter(name);
                          GODWIT_ASSERT(info != nullptr, "the schema comes from the table, and '{}' is not in it",
                                        name);
                          changes.push_back({info, to_parameter_value(value)});
                      }
                      return done(service.set(changes));
                  }});
    commands.add({"query-migrate-parameters",
                  "The values of all parameters.",
                  {},
                  [&service](const Json&, CommandClient&) -> Result<Json> {
                      Json values = Json::object();
                      const MigrationParameters parameters = service.parameters();
                      for (const ParameterInfo& info : parameter_table()) {
                          if (!info.capability) {
                              values[std::string(info.name)] = to_json(get_parameter(parameters, info));
                          }
                      }
                      return values;
                  }});
}

Argument capability_list() {
    Argument name{"capability", ArgumentType::string, false, "name of a capability"};
    for (const ParameterInfo& info : parameter_table()) {
        if (info.capability) {
            name.words.emplace_back(info.name);
            if (!info.former_name.empty()) {
                name.former_words.emplace_back(info.former_name);
            }
        }
    }
    const Argument state{"state", ArgumentType::boolean, false, "on or off"};
    return {"capabilities", ArgumentType::array, false, "", {{"", ArgumentType::object, false, "", {name, state}}}};
}

void add_capabilities(CommandTable& commands, MigrationService& service) {
    commands.add({"migrate-set-capabilities",
                  "Switches capabilities on or off.",
                  {capability_list()},
                  [&service](const Json& arguments, CommandClient&) {
                      std::vector<ParameterChange> changes;
                      for (const Json& entry : arguments["capabilities"]) {
                          const ParameterInfo* info = find_parameter(entry["capability"].get<std::string>());
                          GODWIT_ASSERT(info != nullptr, "the schema comes from the table of parameters");
                          changes.push_back({info, entry["state"].get<bool>()});
                      }
                      return done(service.set(changes));
                  }});
    commands.add(
        {"query-migrate-capabilities",
         "The states of all capabilities.",
         {},
         [&service](const Json&, CommandClient&) -> Result<Json> {
             Json states = Json::array();
             const MigrationParameters parameters = service.parameters();
             for (const ParameterInfo& info : parameter_table()) {
                 if (info.capability) {
                     states.push_back({{"capability", info.name}, {"state", to_json(get_parameter(parameters, info))}});
                 }
             }
             return states;
         }});
}

}  // namespace

void add_migration_commands(CommandTable& commands, MigrationService& service) {
    add_start_and_end(commands, service);
    add_parameters(commands, service);
    add_capabilities(commands, service);
}

}  // namespace godwit
