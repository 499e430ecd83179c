#pragma once

#include <functional>

#include "monitor/command_table.h"

namespace godwit {

/// Registers what belongs to the monitor itself. `commands` stays where it is; `quit` asks for the end of the program.
void add_basic_commands(CommandTable& commands, std::function<void()> quit);

}  // namespace godwit
