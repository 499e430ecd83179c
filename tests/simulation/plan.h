#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "godwit/parameters.h"
#include "sim/node.h"

namespace godwit::sim {

/// When something is done to the migration.
struct Trigger {
    enum class Kind { time, step, handover_step, state, pass };
    Kind kind = Kind::time;
    Duration time{};
    /// A step of the scheduler.
    std::uint64_t step = 0;
    HandoverStep handover_step = HandoverStep::source_stopping;
    /// A state of the source's side.
    MigrationState state = MigrationState::active;
    std::uint64_t pass = 1;
    /// Where `step` falls between the source's setup and its end, in thousandths; or, if `in_switchover`, between the
    /// guest's stop and the end. Turned into a step with the help of a run without disturbances.
    std::uint64_t per_mille = 0;
    bool in_switchover = false;
};

enum class Action {
    cancel_source,
    cancel_destination,
    yank_source,
    yank_destination,
    crash_source,
    crash_destination,
    destroy_source,
    destroy_destination,
    stop_guest,
    continue_guest,
    power_off_guest,
    change_parameter,
};
std::string_view to_string(Action action);

struct Event {
    Trigger trigger;
    Action action = Action::cancel_source;
    CrashStyle crash_style = CrashStyle::closed;
    /// What is changed to what.
    const ParameterInfo* parameter = nullptr;
    ParameterValue value;
};

/// A position in one direction of the link, given relative to what an undisturbed run writes.
struct RelativeFault {
    enum class Kind { none, reset, lose, stall, end };
    Kind kind = Kind::none;
    int direction = 0;
    std::uint64_t per_mille = 0;
    /// Counted back from the end instead, in bytes.
    bool from_end = false;
    std::uint64_t bytes_from_end = 0;
    Duration stall_time = forever;
};

/// Who migrates to whom.
enum class Pairing { godwit_to_godwit, godwit_to_qemu, qemu_to_godwit };
std::string_view to_string(Pairing pairing);

/// What happens to the images of the machine's disks.
enum class DiskUse {
    none,    ///< there are no disks
    shared,  ///< both hosts have the same images
    moved,   ///< each host has its own: the capability `block`
};
std::string_view to_string(DiskUse use);

/// What lies on a disk at the beginning, besides zeros.
struct DiskContents {
    unsigned data_percent = 50;
    /// Of the rest, in percent: not in the topmost layer.
    unsigned base_percent = 0;
    /// What is below it; 0: nothing.
    std::uint64_t base_seed = 0;
    /// At the destination something else is on images of its own.
    bool garbage = false;
};

/// A whole scenario, derived from a seed.
struct Plan {
    std::uint64_t seed = 0;
    std::string theme;
    Pairing pairing = Pairing::godwit_to_godwit;
    /// The operator cancels at a QEMU source even when the whole machine is under way: the one way to two guests
    /// (docs/handover.md).
    bool cancels_between = false;
    ScheduleStyle style;
    NodePlan source;
    NodePlan destination;
    Workload workload;
    DiskUse disk_use = DiskUse::none;
    DiskContents disk_contents;
    DiskWorkload disk_workload;
    LinkProperties link;
    ConnectOutcome connect = ConnectOutcome::connects;
    Duration connect_time = std::chrono::microseconds(100);
    Duration source_start_delay{};
    MigrationParameters parameters;
    MigrationParameters destination_parameters;
    RunState source_state = RunState::running;
    bool source_listener_refuses = false;
    bool source_thread_fails = false;
    bool destination_thread_fails = false;
    std::vector<Event> events;
    std::vector<RelativeFault> faults;
    Duration poll_interval = std::chrono::milliseconds(5);
    /// How long the operator thinks before a paused switchover goes on.
    Duration operator_pause{};
    /// The operator's patience.
    Duration give_up_after = std::chrono::seconds(60);
    /// Events and faults are left out, though everything that stands ready for them is there: the run is the same up to
    /// the moment of the first disturbance.
    bool disarmed = false;
    /// After the end the owner migrates once more, to a third node, undisturbed.
    bool again = false;

    /// A side's migration thread stands still for a while at a step of the handover, as if its process had been
    /// stopped.
    struct Standstill {
        HandoverStep step = HandoverStep::source_before_commit;
        Duration time{};
    };
    std::optional<Standstill> standstill;

    /// Nothing disturbs the run: it must complete.
    bool undisturbed() const;
    /// The destination answers, and knows godwit's own messages.
    bool godwit_handover() const;
    /// The destination says that it has the machine, and hears whether the source has let go of it.
    bool destination_asks() const;
    /// The source's settings, with the longest of each deadline that it may come to have.
    MigrationParameters longest_deadlines() const;
    bool moves_disks() const { return disk_use == DiskUse::moved; }
    /// Pages go past the stream.
    bool direct() const { return link.direct.offered; }
    /// Names or sizes of the disks do not fit.
    bool disks_differ() const;
    /// What the disks' slowness and a standstill may add to anything that has a deadline.
    Duration slack() const;
    /// Needs the figures of an undisturbed run.
    bool needs_baseline() const;
    std::string describe() const;
    std::string describe_disks() const;
    std::string describe_direct() const;
};

/// Figures of an undisturbed run with the same seed.
struct Baseline {
    std::uint64_t setup_step = 0;
    std::uint64_t stopping_step = 0;
    std::uint64_t end_step = 0;
    std::uint64_t bytes[2] = {0, 0};
};

Plan make_plan(std::uint64_t seed);
/// A plan in which disks move, and fail more often than other things.
Plan make_disk_plan(std::uint64_t seed);
/// A plan in which pages go past the stream.
Plan make_direct_plan(std::uint64_t seed);
/// A plan whose one disturbance is a cancel near the end, alone or against a fault.
Plan make_race_plan(std::uint64_t seed);
/// The same plan without events and faults.
Plan without_disturbances(const Plan& plan);
/// Turns relative triggers and faults into absolute ones.
void resolve(Plan& plan, const Baseline& baseline);

}  // namespace godwit::sim
