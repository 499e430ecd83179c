#pragma once

#include <string_view>

namespace godwit {

/// The states of one migration, on either side. `docs/architecture.md` has the table of allowed transitions.
enum class MigrationState {
    none,            ///< nothing has run
    setup,           ///< connecting, agreeing with the peer, preparing to track pages
    active,          ///< pages are moving; the switchover is part of it
    pre_switchover,  ///< the guest is stopped and the operator's word is waited for (`pause-before-switchover`)
    device,          ///< the switchover goes on after that
    handing_over,    ///< the commit has been begun: a cancel comes too late; QMP shows it as `active` or `device`
    completed,       ///< the guest is the destination's
    failed,          ///< the migration ended with an error
    cancelling,      ///< a cancel was asked for and is being carried out
    cancelled,       ///< ended by request
};

/// QEMU's name, as in `query-migrate`.
std::string_view to_string(MigrationState state);

/// Named steps of the switchover and the handover, in their order; for listeners that trace or test them.
enum class HandoverStep {
    source_stopping,           ///< source: about to stop the guest
    source_stopped,            ///< source: the guest is stopped, nothing of the rest has been sent
    source_sent,               ///< source: everything has been written
    source_loaded_seen,        ///< source: the destination said LOADED
    source_before_commit,      ///< source: disks released, the next byte is the commit
    source_committed,          ///< source: the commit has been written
    source_completed,          ///< source: the destination runs the guest
    destination_received,      ///< destination: the whole machine has arrived
    destination_loaded,        ///< destination: about to say LOADED
    destination_said_loaded,   ///< destination: LOADED has been written
    destination_committed,     ///< destination: the commit has arrived
    destination_running,       ///< destination: the guest has been started
    destination_said_running,  ///< destination: RUNNING has been written
};
std::string_view to_string(HandoverStep step);

}  // namespace godwit
