#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "godwit/machine_control.h"
#include "sim/disk_guest.h"
#include "sim/guest_registers.h"
#include "sim/ownership.h"

namespace godwit::sim {

struct MachinePlan {
    Duration stop_cost = std::chrono::microseconds(200);
    Duration start_cost = std::chrono::microseconds(200);
    bool stop_fails = false;
    bool release_fails = false;
    bool start_fails = false;
    bool resume_fails = false;
};

/// A node's machine: run state, disks, and the rules of who may run.
class SimMachine : public MachineControl {
public:
    SimMachine(Ownership& ownership, std::string name, SimMemory& memory, const MachinePlan& plan, RunState state);

    void lock() override;
    void unlock() override;
    RunState run_state() const override;
    Status stop_for_switchover() override;
    bool is_quiet() override;
    Status resume_after_failure(RunState before) override;
    Status release_disks() override;
    void finish_migrated(bool owned_elsewhere) override;
    void set_ownership_unknown() override;
    bool set_cpu_throttle(unsigned percent) override;
    Status set_incoming_run_state(std::string_view name) override;
    Status start_after_load() override;

    // What an operator and the guest do.
    void operator_stop();
    /// False if the machine refuses.
    bool operator_cont();
    /// Runs the guest here whatever is known about its owner.
    void operator_force();
    void guest_powers_off();

    /// Gives it the node's disks, and their locks if it does not wait for a guest. Before anything else.
    void attach(const std::vector<std::unique_ptr<SimDisk>>& disks, const DiskGuest& guest);
    /// A request of the guest to one of its disks begins, or has ended.
    void request_begins() { ++requests_in_flight_; }
    void request_ended() { --requests_in_flight_; }
    int requests_in_flight() const { return requests_in_flight_; }
    /// The guest was stopped while a disk was busy for it.
    bool waited_for_requests() const { return waited_for_requests_; }

    bool start_fails() const { return plan_.start_fails; }
    void heal() { plan_.stop_fails = plan_.release_fails = plan_.start_fails = plan_.resume_fails = false; }
    /// The node died: the guest does not run here any more, its locks are gone.
    void die();
    bool dead() const { return dead_; }

    const std::string& name() const { return name_; }
    bool guest_runs() const { return !dead_ && state_ == RunState::running; }
    /// The guest runs here, or an ordinary `cont` would make it run.
    bool may_run() const;
    RunState state() const { return state_; }
    unsigned throttle_percent() const { return throttle_percent_; }
    bool ownership_unknown() const { return ownership_unknown_; }
    bool owned_elsewhere() const { return owned_elsewhere_; }
    bool was_started_after_load() const { return started_after_load_; }
    std::optional<Duration> stopped_at() const { return stopped_at_; }
    std::optional<Duration> resumed_at() const { return resumed_at_; }
    std::optional<Duration> started_at() const { return started_at_; }
    /// The state before the last switchover.
    RunState state_before_stop() const { return before_; }
    const SimMemory& memory() const { return memory_; }

    /// What the device loaded; compared with the guest's registers when the machine starts.
    std::optional<GuestRegisters> loaded_registers;
    /// Woken when the guest begins to run.
    WaitQueue guest_may_run;
    /// The stream carries no run state (2013 shape).
    bool run_state_unknown = false;

private:
    void expect_lock(const char* what) const;
    void expect_state(const char* what, RunState expected);
    void set_state(RunState state, const char* why);
    bool lock_disks();
    void unlock_disks();
    void expect_flushed(const char* what);
    void check_disks_at_start();

    Ownership& ownership_;
    World& world_;
    std::string name_;
    SimMemory& memory_;
    MachinePlan plan_;
    RunState state_;
    RunState before_ = RunState::running;
    std::optional<RunState> incoming_;
    const Fiber* lock_holder_ = nullptr;
    WaitQueue lock_queue_;
    const std::vector<std::unique_ptr<SimDisk>>* disks_ = nullptr;  // of the node; null: none
    const DiskGuest* disk_guest_ = nullptr;
    int requests_in_flight_ = 0;
    bool waited_for_requests_ = false;
    unsigned throttle_percent_ = 0;
    bool dead_ = false;
    bool ownership_unknown_ = false;
    bool owned_elsewhere_ = false;
    bool started_after_load_ = false;
    std::optional<Duration> stopped_at_;
    std::optional<Duration> resumed_at_;
    std::optional<Duration> started_at_;
};

}  // namespace godwit::sim
