#pragma once

#include "monitor/command_table.h"
#include "monitor/migration_service.h"

namespace godwit {

/// yank, query-yank and announce-self. `service` outlives `commands`.
void add_control_commands(CommandTable& commands, MigrationService& service);

}  // namespace godwit
