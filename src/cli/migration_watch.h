#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "cli/progress.h"
#include "cli/qmp_client.h"
#include "cli/signal_watch.h"

namespace godwit {

/// Follows a migration of a machine until it has ended, and carries out the user's wish to cancel it. The wish is heard
/// at any time, also while the machine does not answer; a second one then ends the program at once.
class MigrationWatch {
public:
    using Clock = std::chrono::steady_clock;

    MigrationWatch(QmpClient& client, SignalWatch& signals, Progress& printer)
        : client_(client), signals_(signals), printer_(printer) {
        client_.set_interruption(signals_.fd(), [this] { take_signal(); });
    }
    ~MigrationWatch() { client_.set_interruption(-1, nullptr); }
    MigrationWatch(const MigrationWatch&) = delete;
    MigrationWatch& operator=(const MigrationWatch&) = delete;

    /// Cancels the migration when it has taken so long.
    void set_timeout(Clock::duration timeout) { timeout_ = timeout; }

    /// The last answer of `query-migrate`, whose status is completed, failed or cancelled. Errors: those of
    /// `QmpClient::execute`.
    Result<Json> run();

    /// Why this side asked for the end; empty if it did not.
    const std::string& cancel_reason() const { return cancel_reason_; }

private:
    void take_signal();
    /// The migration is to be cancelled, as soon as the machine listens.
    void want_cancel(std::string why);
    Status cancel();
    void wait(Clock::time_point until) const;

    QmpClient& client_;
    SignalWatch& signals_;
    Progress& printer_;
    std::optional<Clock::duration> timeout_;
    Clock::time_point began_ = Clock::now();
    std::string cancel_reason_;
    bool cancel_sent_ = false;
};

/// `status` of an answer of `query-migrate`, or nothing.
std::string migration_status(const Json& report);

}  // namespace godwit
