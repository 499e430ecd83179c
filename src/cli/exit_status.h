#pragma once

namespace godwit {

/// What the program's exit status says. Scripts rely on the numbers; `godwit migrate --help` lists them.
enum ExitStatus : int {
    exit_success = 0,
    exit_failure = 1,           ///< what was asked for failed
    exit_usage = 2,             ///< the command line was wrong
    exit_cancelled = 3,         ///< the migration was cancelled, by Ctrl-C, a timeout or somebody else
    exit_connection = 4,        ///< the virtual machine's QMP socket could not be reached, or broke
    exit_handover_unknown = 5,  ///< it is unknown which side owns the guest
};

}  // namespace godwit
