#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "godwit/clock.h"
#include "godwit/device_state.h"
#include "godwit/dirty_source.h"
#include "godwit/disk.h"
#include "godwit/error.h"
#include "godwit/guest_memory.h"
#include "godwit/log.h"
#include "godwit/machine_control.h"
#include "io/event_loop.h"
#include "io/mapped_memory.h"
#include "machine/machine_disk.h"
#include "machine/machine_event.h"
#include "machine/microvm.h"
#include "machine/options.h"
#include "machine/run_control.h"
#include "machine/timer_state.h"

namespace godwit {

/// Whether a machine can have these disks. Errors: `invalid_argument`.
Status check_disks(const MachineOptions& options, const std::vector<MachineDisk>& disks);

/// A virtual machine: memory, hardware (none for the type `none`), and the run state that operators, migrations and the
/// guest itself change.
///
/// It belongs to the event loop's thread. What the operator calls takes the machine lock by itself and may be called by
/// any thread; it returns within milliseconds (where a virtual CPU does not stop, after two seconds with an error). It
/// never waits for a disk: requests that the guest has made go on while it is stopped. What belongs to `MachineControl`
/// wants the lock held, as documented there.
class VirtualMachine : public MachineControl {
public:
    using EventHandler = std::function<void(const MachineEvent&)>;

    /// Makes the machine and everything that takes time, but runs nothing yet. All references and the disks outlive it;
    /// the guest sees the disks in this order, and a machine without hardware keeps them for migrations alone. Errors:
    /// `invalid_argument`, `memory`, `unsupported` (no KVM), `vcpu`, `io`, `disk`.
    static Result<std::unique_ptr<VirtualMachine>> create(const MachineOptions& options, EventLoop& loop, Clock& clock,
                                                          Log& log, std::vector<MachineDisk> disks = {});
    /// Ends the virtual CPUs at once, waits for requests that the disks have taken, and gives their locks back. No
    /// migration may use the machine any more.
    ~VirtualMachine() override;
    VirtualMachine(const VirtualMachine&) = delete;
    VirtualMachine& operator=(const VirtualMachine&) = delete;

    // For the migration's environment.
    GuestMemory& memory() { return *memory_; }
    DirtySource* dirty_source();
    std::vector<DeviceState*> devices();
    /// Those and the ones that a QEMU sends and that mean nothing here: for an incoming migration only.
    std::vector<DeviceState*> incoming_devices();
    std::vector<Disk> disks();
    std::string machine_type() const {
        return options_.type_name.empty() ? std::string(to_string(options_.kind)) : options_.type_name;
    }
    const MachineOptions& options() const { return options_; }
    /// Null for a machine without hardware.
    Microvm* hardware() { return microvm_.get(); }

    // For the operator.
    /// Takes the disks' images, boots and runs, unless the machine waits for a migration or is to be paused. Once.
    /// Errors: `disk` for an image that somebody else uses, and those of booting.
    Status power_on();
    /// Stops the guest (`paused`); what it has asked of its disks is still carried out. While waiting for a migration:
    /// the guest will not run after the load, whatever it did at its source. Errors: `wrong_state` during a switchover,
    /// `vcpu`.
    Status stop();
    /// Lets the guest run. While waiting for a migration: it will do after the load what it did at its source, as
    /// without an earlier `stop`; one that was paused there stays paused. Errors: `wrong_state` during a
    /// switchover and for a guest that has ended; `ownership_gone` and `handover_unknown` unless `force`; `disk` when
    /// an image had been given up and somebody else uses it, whatever `force` says. After a forced success the caller
    /// makes its `Migration` forget the handover.
    Status cont(bool force);
    /// Whether this side may run the guest.
    Ownership ownership();
    /// Whether the guest may move away as things are. Errors: `wrong_state` while waiting for a migration and during a
    /// switchover; `guest_gone`, `vcpu` for a guest that has ended; `ownership_gone`, `handover_unknown`.
    Status check_departure();
    /// Stops the guest for good and emits SHUTDOWN, soon, on the event loop. Any thread; does not wait.
    void request_shutdown(MachineEventReason reason);
    /// What the guest's power-off said the program's exit status should be.
    std::optional<int> exit_status();
    /// Events are told on the event loop's thread, never inside of a call. Set it before `power_on`.
    void set_event_handler(EventHandler handler) { event_handler_ = std::move(handler); }

    // MachineControl
    void lock() override { mutex_.lock(); }
    void unlock() override { mutex_.unlock(); }
    RunState run_state() const override { return run_.state(); }
    Status stop_for_switchover() override;
    bool is_quiet() override;
    Status resume_after_failure(RunState before) override;
    Status release_disks() override;
    void finish_migrated(bool owned_elsewhere) override { run_.finish_migrated(owned_elsewhere); }
    void set_ownership_unknown() override { run_.set_ownership_unknown(); }
    bool set_cpu_throttle(unsigned percent) override;
    Status set_incoming_run_state(std::string_view name) override { return run_.set_incoming(name); }
    Status start_after_load() override;

private:
    VirtualMachine(const MachineOptions& options, EventLoop& loop, Clock& clock, Log& log,
                   std::vector<MachineDisk> disks);

    // All of these under the machine lock.
    /// Errors: `disk`, naming the first that cannot be had; then none is locked. Does nothing when they are.
    Status lock_disks();
    void unlock_disks();
    void run_guest();
    Status stop_guest(RunState state);
    void carry_out(const GuestRequest& request);
    /// Carries a reset out that is waited for, if the disks are quiet; ends the guest where that fails.
    void try_reset();
    /// The same with quiet disks, and without ending the guest.
    void reset_guest();
    void end_by_reset(std::string why);
    void end_guest(RunState state, MachineEvent event);
    void emit(MachineEvent event);

    // On the event loop's thread, without the lock.
    void carry_out_requests();
    void continue_reset();
    int call_later(std::chrono::milliseconds delay, void (VirtualMachine::*what)());
    void shut_down(MachineEventReason reason);
    void post(std::function<void()> task);

    const MachineOptions options_;
    EventLoop& loop_;
    Clock& clock_;
    Log& log_;
    EventHandler event_handler_;
    /// What was posted does nothing once this is gone. The event loop's thread destroys it and looks at it.
    std::shared_ptr<char> alive_ = std::make_shared<char>();

    /// The machine lock.
    std::mutex mutex_;
    RunControl run_;                  ///< under mutex_, except `state`
    std::optional<int> exit_status_;  ///< under mutex_
    std::string failure_;             ///< under mutex_: why the run state is `internal_error`

    bool disks_locked_ = false;  ///< under mutex_

    /// Of a reset that the guest has asked for and that waits for its disks; the virtual CPUs stand still.
    enum class Reset {
        none,
        waiting,
        /// The guest ends as soon as it is to run again.
        failed,
    };
    Reset reset_ = Reset::none;  ///< under mutex_
    int reset_timer_ = -1;       ///< the event loop's thread

    const std::vector<MachineDisk> disks_;
    /// Of the disk with the same index.
    std::vector<std::unique_ptr<DiskWriteTracker>> trackers_;

    std::unique_ptr<MappedMemory> memory_;
    std::unique_ptr<DirtySource> no_dirty_source_;  ///< of a machine without CPUs
    TimerState timer_;
    std::vector<std::unique_ptr<DeviceState>> inert_devices_;
    std::unique_ptr<Microvm> microvm_;
};

}  // namespace godwit
