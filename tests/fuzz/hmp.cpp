// What a client of the human monitor may send. First byte: in pieces of what size.
#include <algorithm>
#include <string>

#include "base/assert.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "monitor/command_testing.h"
#include "monitor/hmp_line.h"
#include "monitor/hmp_session.h"
#include "monitor/human_monitor_command.h"

namespace godwit::fuzz {
namespace {

/// Stand-ins for the commands of QMP behind the human monitor's, each of which returns the answer of its kind.
CommandTable commands() {
    CommandTable table;
    const auto add = [&table](const std::string& name, std::vector<Argument> arguments, const Json& answer) {
        table.add({name, "", arguments, [arguments, answer](const Json& given, CommandClient&) -> Result<Json> {
                       GODWIT_ASSERT(check_arguments(arguments, given), "arguments that do not fit the schema");
                       return answer;
                   }});
    };
    const Argument capability{"capability", ArgumentType::string, false, "", {}, {"events", "xbzrle"}};
    const Argument state{"state", ArgumentType::boolean};
    add("migrate",
        {{"uri"},
         {"detach", ArgumentType::boolean, true},
         {"blk", ArgumentType::boolean, true},
         {"inc", ArgumentType::boolean, true},
         {"resume", ArgumentType::boolean, true}},
        Json::object());
    add("query-migrate", {}, {{"status", "completed"}, {"total-time", 1}, {"ram", {{"total", 4096}, {"mbps", 1.5}}}});
    add("migrate-set-capabilities",
        {{"capabilities",
          ArgumentType::array,
          false,
          "",
          {{"", ArgumentType::object, false, "", {capability, state}}}}},
        Json::object());
    add("migrate-set-parameters",
        {{"max-bandwidth", ArgumentType::size, true},
         {"downtime-limit", ArgumentType::uint64, true},
         {"ratio", ArgumentType::number, true},
         {"flag", ArgumentType::boolean, true},
         {"tls-creds", ArgumentType::string, true}},
        Json::object());
    add("query-migrate-parameters", {}, {{"max-bandwidth", 7}, {"flag", true}, {"tls-creds", "a"}});
    add("migrate_set_speed", {{"value", ArgumentType::size}}, Json::object());
    add("migrate_set_downtime", {{"value", ArgumentType::number}}, Json::object());
    add("calc-dirty-rate", {{"calc-time", ArgumentType::uint64}}, Json::object());
    add("query-status", {}, {{"status", "paused"}});
    add("cont", {{"force", ArgumentType::boolean, true}}, Json::object());
    add("quit", {}, Json::object());
    add_human_monitor_command(table);
    return table;
}

/// What a terminal shows cannot be harmful.
bool check_answer(std::string_view text) {
    for (const char byte : text) {
        const bool control = static_cast<unsigned char>(byte) < ' ' || byte == '\x7f';
        GODWIT_ASSERT(!control || byte == '\n' || byte == '\r' || byte == '\t', "a control character in an answer");
    }
    return true;
}

}  // namespace
}  // namespace godwit::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    using namespace godwit::fuzz;
    static const CommandTable table = commands();
    Input input(data, size);
    const std::size_t piece = std::size_t{1} + input.choice();
    testing::NoClient client;
    HmpSession session(table, client, {}, check_answer);
    session.greet();
    const std::span<const std::byte> bytes = input.rest();
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    for (std::size_t at = 0; at < text.size();) {
        if (session.waiting()) {
            session.poll();
            GODWIT_ASSERT(!session.waiting(), "the migration has ended");
        }
        const std::size_t taken = session.receive(text.substr(at, piece));
        GODWIT_ASSERT(taken > 0, "nothing was taken");
        at += taken;
    }
    // Completion sees the same bytes as a line that is being typed.
    for (const std::string& word : complete_hmp_line(text, table)) {
        GODWIT_ASSERT(!word.empty() && word.find(' ') == std::string::npos, "an offer that is no word");
    }
    return 0;
}
