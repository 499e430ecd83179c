#include "monitor/human_monitor_command.h"

#include <string>

#include "monitor/hmp_line.h"
#include "monitor/hmp_session.h"

namespace godwit {

void add_human_monitor_command(CommandTable& commands) {
    commands.add({"human-monitor-command",
                  "Runs a line of the human monitor and returns what it says; 'migrate' does not wait there.",
                  {{"command-line", ArgumentType::string, false, "the line"},
                   {"cpu-index", ArgumentType::uint64, true, "ignored"}},
                  [&commands](const Json& arguments, CommandClient& client) -> Result<Json> {
                      const auto& line = arguments["command-line"].get_ref<const std::string&>();
                      if (line.size() > max_hmp_line_bytes) {
                          return fail(hmp_line_too_long());
                      }
                      return with_line_ends(run_hmp_line(line, commands, client).text, network_line_end);
                  }});
}

}  // namespace godwit
