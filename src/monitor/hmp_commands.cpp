#include "monitor/hmp_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "monitor/hmp_info.h"
#include "monitor/hmp_settings.h"

namespace godwit {

namespace {

using Type = HmpArgumentType;
using Then = HmpReply::Then;

/// A command whose arguments are those of a command of QMP, and which says nothing when all is well.
HmpCommand plain(std::string name, std::string alias, std::string usage, std::string help, const std::string& qmp,
                 std::vector<HmpArgument> arguments = {}) {
    return {std::move(name),
            std::move(alias),
            std::move(usage),
            std::move(help),
            qmp,
            std::move(arguments),
            [qmp](HmpCall& call, const Json& given) -> Result<HmpReply> {
                const auto answer = call.ask(qmp, given);
                return answer ? Result<HmpReply>(HmpReply()) : fail(answer.error());
            }};
}

Result<HmpReply> migrate(HmpCall& call, const Json& given) {
    const auto answer = call.ask("migrate", given);
    if (!answer) {
        return fail(answer.error());
    }
    return HmpReply{{}, given.value("detach", false) ? Then::prompt : Then::wait_for_migration};
}

Result<HmpReply> quit(HmpCall& call, const Json&) {
    const auto answer = call.ask("quit");
    return answer ? Result<HmpReply>(HmpReply{{}, Then::end}) : fail(answer.error());
}

Result<HmpReply> calc_dirty_rate(HmpCall& call, const Json& given) {
    const auto answer = call.ask("calc-dirty-rate", given);
    if (!answer) {
        return fail(answer.error());
    }
    return HmpReply{
        fmt::format("Starting dirty rate measurement with period {} seconds\n"
                    "[Please use 'info dirty_rate' to check results]\n",
                    given["calc-time"].get<std::uint64_t>())};
}

/// The intervals that QMP wants each time are the migration's parameters here.
Result<HmpReply> announce_self(HmpCall& call, const Json&) {
    Json arguments = Json::object();
    const auto parameters = call.ask("query-migrate-parameters");
    for (const char* name : {"initial", "max", "rounds", "step"}) {
        const std::string parameter = fmt::format("announce-{}", name);
        if (parameters && parameters->contains(parameter) &&
            find_argument(call.commands(), "announce-self", name) != nullptr) {
            arguments[name] = (*parameters)[parameter];
        }
    }
    const auto answer = call.ask("announce-self", arguments);
    return answer ? Result<HmpReply>(HmpReply()) : fail(answer.error());
}

std::string line_of(const HmpCommand& command, std::string_view prefix) {
    return fmt::format("{}{}{}{} {} -- {}\n", prefix, command.name, command.alias.empty() ? "" : "|", command.alias,
                       command.usage, command.help);
}

std::string all_lines(const std::vector<HmpCommand>& list, std::string_view prefix, const CommandTable& commands) {
    std::string text;
    for (const HmpCommand& command : list) {
        if (exists(command, commands)) {
            text += line_of(command, prefix);
        }
    }
    return text;
}

Result<HmpReply> one_line(const std::vector<HmpCommand>& list, std::string_view prefix, const std::string& name,
                          const CommandTable& commands) {
    const HmpCommand* command = find_hmp(list, name, commands);
    if (command == nullptr) {
        return fail(ErrorCode::not_found, fmt::format("unknown command: '{}{}'", prefix, name));
    }
    return HmpReply{line_of(*command, prefix)};
}

Result<HmpReply> help(HmpCall& call, const Json& given) {
    const auto name = given.value("name", std::string());
    const auto topic = given.value("topic", std::string());
    if (name == "info") {
        return topic.empty() ? HmpReply{all_lines(hmp_topics(), "info ", call.commands())}
                             : one_line(hmp_topics(), "info ", topic, call.commands());
    }
    if (!topic.empty()) {
        return fail(ErrorCode::invalid_argument, "help: extraneous characters at the end of line");
    }
    return name.empty() ? HmpReply{all_lines(hmp_commands(), "", call.commands())}
                        : one_line(hmp_commands(), "", name, call.commands());
}

Result<HmpReply> info(HmpCall& call, const Json& given) {
    if (!given.contains("topic")) {
        return HmpReply{all_lines(hmp_topics(), "info ", call.commands())};
    }
    const auto& name = given["topic"].get_ref<const std::string&>();
    const HmpCommand* topic = find_hmp(hmp_topics(), name, call.commands());
    if (topic == nullptr) {
        return fail(ErrorCode::not_found, fmt::format("unknown command: 'info {}'", name),
                    R"('help info' lists what there is)");
    }
    return topic->run(call, Json::object());
}

/// A topic whose text is made of the answer to one command of QMP.
HmpCommand topic(std::string name, std::string help_text, const std::string& qmp, std::string (*text)(const Json&)) {
    return {std::move(name), "", "", std::move(help_text), qmp, {}, [qmp, text](HmpCall& call, const Json&) {
                const auto answer = call.ask(qmp);
                return answer ? Result<HmpReply>(HmpReply{text(*answer)}) : fail(answer.error());
            }};
}

HmpArgument flag(char letter, std::string name) {
    return {std::move(name), Type::flag, letter, true};
}

std::vector<HmpCommand> make_commands() {
    return {
        {"announce_self", "", "", "tell the network where the machine is", "announce-self", {}, announce_self},
        {"calc_dirty_rate",
         "",
         "seconds",
         "measure for that long how fast the guest changes its memory",
         "calc-dirty-rate",
         {{"calc-time", Type::integer}},
         calc_dirty_rate},
        plain("cont", "c", "[-f]", "let the guest run (-f even if it may be running elsewhere)", "cont",
              {flag('f', "force")}),
        {"help",
         "?",
         "[command]",
         "say what the commands do",
         "",
         {{"name", Type::word, '\0', true, HmpChoices::commands},
          {"topic", Type::word, '\0', true, HmpChoices::topics}},
         help},
        {"info",
         "",
         "[topic]",
         "tell about something; without a topic: about what",
         "",
         {{"topic", Type::word, '\0', true, HmpChoices::topics}},
         info},
        {"migrate",
         "",
         "[-d] [-b] [-i] [-r] uri",
         "move the machine to uri\n"
         "\t\t\t -d to go on at once; otherwise this monitor waits for the end\n"
         "\t\t\t -b with the disks, -i with what their topmost layers hold; the destination has the rest\n"
         "\t\t\t -r to resume one that is paused: refused where QMP refuses it",
         "migrate",
         {flag('d', "detach"), flag('b', "blk"), flag('i', "inc"), flag('r', "resume"), {"uri"}},
         migrate},
        plain("migrate_cancel", "", "", "end the migration that runs", "migrate_cancel"),
        plain("migrate_continue", "", "state", "let the migration go on that waits in that state", "migrate-continue",
              {{"state"}}),
        plain("migrate_incoming", "", "uri", "wait at uri for the machine that moves here", "migrate-incoming",
              {{"uri"}}),
        plain("migrate_pause", "", "", "pause the migration (in its postcopy phase only)", "migrate-pause"),
        plain("migrate_set_cache_size", "", "value", "set xbzrle-cache-size, in MiB without a suffix",
              "migrate-set-cache-size", {{"value", Type::size}}),
        {"migrate_set_capability",
         "",
         "capability on|off",
         "switch a capability on or off",
         "migrate-set-capabilities",
         {{"capability", Type::word, '\0', false, HmpChoices::capabilities}, {"state", Type::on_off}},
         set_capability},
        plain("migrate_set_downtime", "", "seconds", "set downtime-limit", "migrate_set_downtime",
              {{"value", Type::seconds}}),
        {"migrate_set_parameter",
         "",
         "parameter value",
         "set a parameter; sizes may have a suffix K, M, G, T",
         "migrate-set-parameters",
         {{"parameter", Type::word, '\0', false, HmpChoices::parameters},
          {"value", Type::word, '\0', false, HmpChoices::parameter_values}},
         set_parameter_by_name},
        plain("migrate_set_speed", "", "value", "set max-bandwidth, in MiB per second without a suffix",
              "migrate_set_speed", {{"value", Type::size}}),
        {"quit", "q", "", "end the program", "quit", {}, quit},
        plain("stop", "s", "", "pause the guest", "stop"),
    };
}

std::vector<HmpCommand> make_topics() {
    return {
        topic("block", "the disks of the machine", "query-block", disks_text),
        topic("dirty_rate", "the last measurement of calc_dirty_rate", "query-dirty-rate", dirty_rate_text),
        topic("migrate", "the state and the figures of the last migration", "query-migrate", migration_text),
        topic("migrate_capabilities", "which capabilities are on", "query-migrate-capabilities", capabilities_text),
        {"migrate_parameters", "", "", "the values of all parameters", "query-migrate-parameters", {}, show_parameters},
        topic("name", "the machine's name", "query-name", name_text),
        topic("status", "what the machine is doing", "query-status", status_text),
        topic("version", "the version of this program", "query-version", version_text),
    };
}

}  // namespace

Result<Json> HmpCall::ask(std::string_view command, const Json& arguments) {
    const Command* found = commands_.find(command);
    if (found == nullptr) {
        return fail(ErrorCode::not_found, fmt::format("The command {} has not been found", command));
    }
    if (auto status = check_arguments(found->arguments, arguments); !status) {
        return fail(status.error());
    }
    return found->handler(arguments, client_);
}

const std::vector<HmpCommand>& hmp_commands() {
    static const std::vector<HmpCommand> commands = make_commands();
    return commands;
}

const std::vector<HmpCommand>& hmp_topics() {
    static const std::vector<HmpCommand> topics = make_topics();
    return topics;
}

bool exists(const HmpCommand& command, const CommandTable& commands) {
    return command.qmp.empty() || commands.find(command.qmp) != nullptr;
}

const HmpCommand* find_hmp(const std::vector<HmpCommand>& list, std::string_view name, const CommandTable& commands) {
    const auto found = std::find_if(list.begin(), list.end(), [name](const HmpCommand& each) {
        return each.name == name || (!each.alias.empty() && each.alias == name);
    });
    return found == list.end() || !exists(*found, commands) ? nullptr : &*found;
}

const Argument* find_argument(const CommandTable& commands, std::string_view command, std::string_view name) {
    const Command* found = commands.find(command);
    if (found == nullptr) {
        return nullptr;
    }
    const auto argument = std::find_if(found->arguments.begin(), found->arguments.end(),
                                       [name](const Argument& each) { return each.name == name; });
    return argument == found->arguments.end() ? nullptr : &*argument;
}

}  // namespace godwit
