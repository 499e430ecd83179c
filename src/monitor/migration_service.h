#pragma once

#include <optional>
#include <string>
#include <vector>

#include "godwit/migration.h"
#include "godwit/parameters.h"
#include "godwit/statistics.h"

namespace godwit {

/// What `migrate` asks for.
struct MigrateRequest {
    std::string uri;
    StartOptions options = {};
};

/// What the monitor asks of the one who owns the machine's migrations. Event loop's thread; no call waits for a peer.
class MigrationService {
public:
    virtual ~MigrationService() = default;
    /// Starts to move the machine. Errors: of the address, of `Migration::start`.
    virtual Status migrate(const MigrateRequest& request) = 0;
    /// Ends the outgoing migration. Does nothing when none runs. Errors: `too_late`.
    virtual Status cancel() = 0;
    /// The word that a migration with pause-before-switchover waits for. Errors: `wrong_state`.
    virtual Status continue_switchover() = 0;
    /// Breaks the connection of the migration that runs off at once, incoming or outgoing. Does nothing when there is
    /// none.
    virtual void yank() = 0;
    /// Begins to wait at `uri` for the machine that is to arrive here. Errors: of the address, `wrong_state`, `busy`.
    virtual Status receive(const std::string& uri) = 0;

    /// Figures of the attempt that began last, outgoing or incoming.
    virtual MigrationStatistics statistics() const = 0;
    /// Whether that attempt is the one in which the machine arrives here.
    virtual bool is_incoming() const = 0;
    /// Why the machine could not be moved away now, for as long as that stays so by itself.
    virtual std::vector<std::string> blocked_reasons() const = 0;
    /// Where an incoming migration listens ("tcp:127.0.0.1:4444"), while it does.
    virtual std::optional<std::string> listening_address() const = 0;

    virtual MigrationParameters parameters() const = 0;
    /// Makes all changes, or none. Errors: `invalid_argument`, `busy`.
    virtual Status set(std::span<const ParameterChange> changes) = 0;
};

}  // namespace godwit
