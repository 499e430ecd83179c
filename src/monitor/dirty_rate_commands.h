#pragma once

#include "monitor/command_table.h"
#include "monitor/dirty_rate_meter.h"

namespace godwit {

/// calc-dirty-rate and query-dirty-rate. `meter` outlives `commands`.
void add_dirty_rate_commands(CommandTable& commands, DirtyRateMeter& meter);

}  // namespace godwit
