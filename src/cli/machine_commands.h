#pragma once

#include <functional>
#include <string>

#include "godwit/error.h"
#include "godwit/machine_control.h"
#include "monitor/command_table.h"

namespace godwit {

/// What the operator may do with a machine. Event loop's thread.
struct MachineOperations {
    /// Empty: it has none.
    std::string name;
    std::function<RunState()> run_state;
    std::function<Status()> stop;
    std::function<Status(bool force)> cont;
};

/// Registers query-name, query-status, stop and cont.
void add_machine_commands(CommandTable& commands, MachineOperations operations);

}  // namespace godwit
