#pragma once

#include "io/named_descriptors.h"
#include "monitor/command_table.h"

namespace godwit {

/// Registers getfd and closefd. `descriptors` outlives `commands`.
void add_descriptor_commands(CommandTable& commands, NamedDescriptors& descriptors);

}  // namespace godwit
