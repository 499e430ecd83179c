#pragma once

#include "monitor/command_table.h"

namespace godwit {

/// The answer to `query-qmp-schema`: the table's commands and the events, in the form of QEMU's introspection
/// (QEMU's "QEMU QMP introspection" manual). Names of types other than the built-in ones are numbers and mean nothing.
Json qmp_schema(const CommandTable& commands);

}  // namespace godwit
