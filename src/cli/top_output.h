#pragma once

#include <chrono>
#include <string>

#include "cli/machine_poller.h"

namespace godwit {

/// A machine in one line of text: "vm1: running, active  pass 3  sent ...".
std::string plain_line(const MachinePoller& machine);

/// A machine in one line of JSON: `socket`, `reachable`, `trouble` if any, and, as far as known, `name`, `server`,
/// `status`, and `migration` as `query-migrate` gave it.
std::string json_line(const MachinePoller& machine);

/// Decides when a machine's next line is due where lines cannot be painted over.
class LinePacer {
public:
    using Clock = MachinePoller::Clock;

    /// At once when something else than figures has changed; else each second while memory moves.
    bool is_due(const MachinePoller& machine, Clock::time_point now);

private:
    std::string last_;
    Clock::time_point next_{};
};

}  // namespace godwit
