#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "monitor/hmp_commands.h"

namespace godwit {

/// Runs one line of the human monitor and returns what is to be shown: an error as "Error: ...". Names that come from
/// outside cannot bring control characters into the text. `client` is handed to the commands of QMP. Event loop's
/// thread.
HmpReply run_hmp_line(std::string_view line, const CommandTable& commands, CommandClient& client);

/// An error as the monitor shows it, with its hint on a line of its own.
std::string hmp_error_text(const Error& error);

/// What the last word of `line` may become, in alphabetical order; the word is empty after a blank. Any thread, as long
/// as nobody adds to `commands`.
std::vector<std::string> complete_hmp_line(std::string_view line, const CommandTable& commands);

}  // namespace godwit
