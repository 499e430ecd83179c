#pragma once

#include "monitor/command_table.h"
#include "monitor/migration_service.h"

namespace godwit {

/// Commands that QEMU had in 2013 and that scripts still send, and those that only say why they do nothing here.
void add_older_migration_commands(CommandTable& commands, MigrationService& service);

}  // namespace godwit
