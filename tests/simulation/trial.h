#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plan.h"
#include "sim/qemu_destination.h"
#include "sim/qemu_source.h"

namespace godwit::sim {

/// What is kept from trial to trial, because making it is slow.
struct Pools {
    StackPool stacks;
    BufferPool buffers;
};

/// What a source was seen to do, so that a test can tell that plans reach it.
struct Seen {
    /// A chunk was sent again, as the guest had written to it.
    bool chunks_again = false;
    bool zero_chunks = false;
    bool chunks_left_out = false;
    /// The guest was stopped while requests of its were under way.
    bool drained_requests = false;
    bool disk_failure = false;
    bool deltas = false;
    bool unchanged_pages = false;
    bool skipped_zeros = false;
    bool throttle = false;
    bool pause_before_switchover = false;
    bool stall = false;
    bool direct_pages = false;
    bool everything_pinned = false;
    bool registration_given_back = false;
};

struct Outcome {
    /// The plan, with faults and events at their final places.
    std::string description;
    std::vector<std::string> violations;
    MigrationState source = MigrationState::none;
    MigrationState destination = MigrationState::none;
    bool source_unknown = false;
    bool destination_unknown = false;
    bool guest_moved = false;
    /// There were two guests, in the one way in which that is documented.
    bool documented_residue = false;
    Baseline baseline;
    Seen seen;
    /// From the setup to the guest's stop, and what the source sent meanwhile; of a completed migration.
    Duration precopy_time{};
    std::uint64_t precopy_bytes = 0;
    std::uint64_t passes = 0;
    std::uint64_t steps = 0;
    std::uint64_t fingerprint = 0;
    Duration virtual_time{};

    bool good() const { return violations.empty(); }
};

/// One simulated migration: builds the nodes that a plan describes, lets it happen, and judges what came of it.
class Trial {
public:
    Trial(const Plan& plan, Pools& pools, bool trace);
    ~Trial();

    Outcome run();

private:
    friend class Verdict;

    /// Something that will be done to the migration when its moment comes.
    struct PendingEvent {
        Event event;
        WaitQueue queue;
        bool due = false;
        Fiber* fiber = nullptr;
    };
    /// An accepted cancel, and when it was asked for.
    struct AcceptedCancel {
        Duration at;
        MigrationState state_after;
    };

    // The script, in the order of its scenes (trial.cpp).
    void make_disks();
    void see_disks();
    void measure_precopy();
    void direct();
    void start_destination(Node& node);
    void start_source(Node& node);
    void configure(Migration& migration);
    void wait_for_end();
    void end_lonely_destination();
    void end_waiting_qemu();
    void migrate_again();
    void add_third_disks(const Node& owner);
    /// A thread of the node's program does something; waits for it, unless the node dies.
    void do_on(Node& node, const char* name, std::function<void()> work);
    void tear_down();

    // Disturbances (trial_events.cpp).
    void arm_events();
    void arm(PendingEvent& pending);
    void run_event(PendingEvent& pending);
    void act(const Event& event);
    void crash(Node& node, CrashStyle style);
    void on_step(HandoverStep step);
    void on_state(MigrationState state);
    void on_pass(std::uint64_t pass);
    void fire(PendingEvent& pending);
    void cancel_source();
    void change_parameter(const Event& event);
    void cancel_qemu_source();
    void cancel_destination();
    void yank_source();
    void yank_destination();
    void destroy(Node& node, bool& destroyed);
    void poll_source();
    void look_at(const MigrationStatistics& figures);
    void check_figures(const MigrationStatistics& last, const MigrationStatistics& figures);

    bool source_over() const;
    bool destination_over() const;
    Duration now() const { return world_->now(); }
    Scheduler& scheduler() { return world_->scheduler(); }
    /// Waits in small steps of virtual time until `condition` holds; false after `limit`.
    template <typename Condition>
    bool wait_until(Condition condition, Duration limit);

    Plan plan_;
    std::unique_ptr<World> world_;
    std::unique_ptr<SimGuest> guest_;
    std::unique_ptr<DiskGuest> disk_guest_;
    std::unique_ptr<Ownership> ownership_;
    std::unique_ptr<Node> source_;
    std::unique_ptr<Node> destination_;
    std::unique_ptr<Node> third_;
    // In place of a node's godwit.
    std::unique_ptr<QemuSource> qemu_source_;
    std::unique_ptr<QemuDestination> qemu_destination_;
    Pools& pools_;
    std::shared_ptr<Rendezvous> place_;
    std::vector<std::unique_ptr<PendingEvent>> events_;
    std::vector<Fiber*> pollers_;
    Baseline baseline_;
    Seen seen_;
    std::uint64_t last_registered_bytes_ = 0;
    Duration precopy_time_{};
    std::uint64_t precopy_bytes_ = 0;
    bool armed_ = true;
    bool source_destroyed_ = false;
    bool destination_destroyed_ = false;
    std::optional<AcceptedCancel> source_cancel_;
    std::optional<AcceptedCancel> destination_cancel_;
    bool destination_cancelled_by_director_ = false;
    bool guest_was_stopped_by_operator_ = false;
    bool guest_powered_off_ = false;
};

template <typename Condition>
bool Trial::wait_until(Condition condition, Duration limit) {
    const Duration until = limit == forever ? forever : now() + limit;
    Duration pause = std::chrono::microseconds(50);
    while (!condition()) {
        if (now() >= until) {
            return false;
        }
        scheduler().sleep_for(pause);
        pause = std::min<Duration>(pause + pause / 4, std::chrono::milliseconds(20));
    }
    return true;
}

/// Runs the plan of a seed, with the undisturbed run before it where the plan needs one.
Outcome run_seed(Plan plan, Pools& pools, bool trace);

}  // namespace godwit::sim
