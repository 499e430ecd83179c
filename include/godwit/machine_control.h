#pragma once

#include <optional>
#include <string_view>

#include "godwit/error.h"

namespace godwit {

/// What the machine is doing; QEMU's names and meanings.
enum class RunState {
    prelaunch,       ///< created paused, never ran
    inmigrate,       ///< waits for an incoming migration
    running,         ///< the guest runs
    paused,          ///< stopped by the operator
    finish_migrate,  ///< stopped for the switchover
    postmigrate,     ///< moved away
    shutdown,        ///< the guest powered itself off
    internal_error,  ///< a virtual CPU failed
    guest_panicked,  ///< the guest gave up
};

/// QEMU's name ("finish-migrate"), as in QMP and in the stream.
std::string_view to_string(RunState state);
std::optional<RunState> run_state_from_string(std::string_view name);

/// What a migration needs of a machine. The machine lock (`lock`, `unlock`) protects run state and devices; it is held
/// only to collect dirty pages and to stop, save, load or start the machine, never while waiting for a peer.
/// Every other call is made with the lock held, except where it is said.
class MachineControl {
public:
    virtual ~MachineControl() = default;
    virtual void lock() = 0;
    virtual void unlock() = 0;

    virtual RunState run_state() const = 0;
    /// Source: stops the guest; the state becomes `finish_migrate`. It does not wait for the guest's disks: see
    /// `is_quiet`. On an error (`guest_gone` when the guest has powered off) the state is as it was, or what the guest
    /// made of it.
    virtual Status stop_for_switchover() = 0;
    /// Source, after `stop_for_switchover`: whether all that the guest has asked of its disks is done, so that nothing
    /// changes memory, devices or disks any more. Asked again and again until it is so, or until the switchover's
    /// deadline; a request that has been given to a disk cannot be taken back.
    virtual bool is_quiet() { return true; }
    /// Source: undoes `stop_for_switchover`: takes back disks that were released and restores `before`.
    virtual Status resume_after_failure(RunState before) = 0;
    /// Source: the guest may run elsewhere from now on: gives up the locks on its disk images.
    virtual Status release_disks() = 0;
    /// Source: the guest runs elsewhere; the state becomes `postmigrate`. `owned_elsewhere` says that a live peer has
    /// it: then the machine refuses to run again unless forced.
    virtual void finish_migrated(bool owned_elsewhere) = 0;
    /// Source or destination: it is unknown who owns the guest. The machine stays paused and refuses to run unless
    /// forced.
    virtual void set_ownership_unknown() = 0;

    /// Source: takes that percentage of the time (0 to 99) from the virtual CPUs, from now on; 0 gives it back. It does
    /// not wait for them. False where that cannot be done. Any thread, without the lock.
    virtual bool set_cpu_throttle(unsigned percent) {
        (void)percent;
        return false;
    }

    /// Destination: the state that the source had, as a name of `RunState`; remembered for `start_after_load`.
    virtual Status set_incoming_run_state(std::string_view name) = 0;
    /// Destination: all state is loaded; takes the disk images and goes to the state the source had (running, or
    /// paused).
    virtual Status start_after_load() = 0;
};

/// Holds the machine lock for a scope.
class MachineLock {
public:
    explicit MachineLock(MachineControl& machine) : machine_(machine) { machine_.lock(); }
    ~MachineLock() { machine_.unlock(); }
    MachineLock(const MachineLock&) = delete;
    MachineLock& operator=(const MachineLock&) = delete;

private:
    MachineControl& machine_;
};

}  // namespace godwit
