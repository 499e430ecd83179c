#pragma once

#include <optional>
#include <string>
#include <vector>

#include "godwit/statistics.h"
#include "monitor/json.h"

namespace godwit {

/// The value of `query-migrate`, with QEMU 7.2's names; what only godwit knows has names that begin with "x-godwit-".
/// Figures are kept after a failure or a cancel. Times are in ms, those ending in -ns in ns.
/// `incoming`: they are the destination's figures.
/// `blocked`: why the machine cannot be moved away.
Json migration_report(const MigrationStatistics& statistics, const std::optional<std::string>& listening_address,
                      bool incoming = false, const std::vector<std::string>& blocked = {});

/// The member `convergence` of it, and the data of the event.
Json convergence_report(const Convergence& convergence);

/// An address as QEMU's SocketAddress, or nothing for one that is not a socket's.
std::optional<Json> socket_address_json(const std::string& uri);

}  // namespace godwit
