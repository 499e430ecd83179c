#pragma once

#include <memory>

#include "godwit/channel.h"
#include "godwit/environment.h"
#include "godwit/listener.h"
#include "godwit/parameters.h"
#include "godwit/statistics.h"

namespace godwit {

/// What a single attempt does beyond the parameters.
struct StartOptions {
    /// As if the capability `block` were on.
    bool block = false;
    /// As if the capability `block` and the parameter `block-incremental` were on.
    bool incremental = false;

    bool any() const { return block || incremental; }
    /// Errors: `invalid_argument` where both the options and the parameters speak of disks, worded as QEMU words it.
    Status check(const MigrationParameters& parameters) const;
    /// Puts the options into the parameters of the attempt.
    void apply(MigrationParameters& parameters) const;
};

/// Moves a running machine away: the source's side. One object serves all attempts of a machine, one after another.
///
/// `start` and the destructor belong to the main loop's thread (the one that runs what `Executor::post` posted);
/// everything else may be called by any thread and never waits for a peer, so it answers at once even while a peer
/// hangs.
class Migration {
public:
    explicit Migration(Environment environment);
    /// Cancels what runs and waits for its thread.
    ~Migration();
    Migration(const Migration&) = delete;
    Migration& operator=(const Migration&) = delete;

    /// Begins a migration over the channel that `opener` opens and returns at once; listen or ask for the outcome.
    /// Errors: `busy` while one runs, `ownership_gone` after a completed one, `listener_refused`; of
    /// `StartOptions::check`.
    Status start(std::unique_ptr<ChannelOpener> opener, const StartOptions& options = {});
    /// Ends the running migration; the guest goes on here. Does nothing when none runs. Errors: `too_late` once
    /// the guest has been handed over.
    Status cancel();
    /// Breaks the connection off at once, as if the network had: the way out of a hang. What follows from it is in
    /// docs/handover.md; an attempt that ends before the commit fails with `io`, and the guest goes on here. Does
    /// nothing when none runs.
    void yank();

    /// The operator's word for which a migration waits with `pause_before_switchover`. Errors: `wrong_state` unless one
    /// waits.
    Status continue_switchover();

    MigrationState state() const;
    bool in_setup() const;
    /// Pages are moving (not yet while setting up, no longer once it has ended).
    bool is_active() const;
    /// Ended: completed, failed or cancelled.
    bool has_finished() const;
    bool has_failed() const;

    MigrationStatistics statistics() const;
    /// While an attempt runs, as it uses them: with its `StartOptions`.
    MigrationParameters parameters() const;
    /// Makes all changes, or none. Errors: `invalid_argument`; `busy` for what may not change while a migration runs.
    Status set(std::span<const ParameterChange> changes);
    Status set(const ParameterInfo& info, const ParameterValue& value);

    /// Not owned; a listener must be removed before it is destroyed.
    void add_listener(Listener& listener);
    void remove_listener(Listener& listener);

    /// Forgets that the guest was handed over, after the operator has forced it to run here again.
    void forget_handover();

private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

/// Receives a machine: the destination's side. One object serves one attempt.
class IncomingMigration {
public:
    IncomingMigration(Environment environment, const MigrationParameters& parameters);
    /// Gives up what runs and waits for its thread.
    ~IncomingMigration();
    IncomingMigration(const IncomingMigration&) = delete;
    IncomingMigration& operator=(const IncomingMigration&) = delete;

    /// Begins to wait for the source and returns at once. Main loop's thread, once. Listeners hear the outcome: after
    /// `failed` nothing was started here, and the caller should end the program with a non-zero status, unless the
    /// error is `handover_unknown`: then the guest is complete, paused, and waits for the operator.
    Status start(std::unique_ptr<ChannelOpener> opener);
    /// Gives up. Errors: `too_late` once the guest is here.
    Status cancel();
    /// Breaks the connection off at once, as if the network had; see `Migration::yank`. Does nothing while there is
    /// none yet.
    void yank();
    /// Any thread, at any time. The handshake's deadline counts from the source's arrival, the switchover's is looked
    /// at when it begins, and the one for silence at each of the source's PINGs, so at the latest with the next pass.
    void set_parameters(const MigrationParameters& parameters);

    MigrationState state() const;
    MigrationStatistics statistics() const;

    void add_listener(Listener& listener);
    void remove_listener(Listener& listener);

private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace godwit
