#pragma once

#include "monitor/command_table.h"

namespace godwit {

/// Registers human-monitor-command, which runs a line of the human monitor with the other commands of `commands`;
/// `commands` stays where it is.
void add_human_monitor_command(CommandTable& commands);

}  // namespace godwit
