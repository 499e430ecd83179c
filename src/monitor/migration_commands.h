#pragma once

#include "monitor/command_table.h"
#include "monitor/migration_service.h"

namespace godwit {

/// Registers everything about migrations. `service` outlives `commands`.
void add_migration_commands(CommandTable& commands, MigrationService& service);

}  // namespace godwit
