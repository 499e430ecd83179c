#include "every_step.h"

#include <algorithm>
#include <utility>

#include "plan_parts.h"

namespace godwit::sim {
namespace {

/// The source is over before its destination is.
constexpr std::uint64_t steps_after_the_end = 120;
/// Of the many bytes of memory, only so many are tried.
constexpr std::uint64_t most_bytes_tried = 600;
/// ... but all of these.
constexpr std::uint64_t last_bytes_tried = 40;

Disturbance event(std::string name, Action action, CrashStyle style = CrashStyle::closed) {
    Event what;
    what.action = action;
    what.crash_style = style;
    return Disturbance{std::move(name), what, RelativeFault::Kind::none, 0};
}

Disturbance fault(std::string name, RelativeFault::Kind kind, int direction) {
    return Disturbance{std::move(name), std::nullopt, kind, direction};
}

}  // namespace

const std::vector<Disturbance>& disturbances() {
    using Fault = RelativeFault::Kind;
    static const std::vector<Disturbance> list{
        event("cancel the source", Action::cancel_source),
        event("cancel the destination", Action::cancel_destination),
        event("yank the source", Action::yank_source),
        event("yank the destination", Action::yank_destination),
        event("destroy the source", Action::destroy_source),
        event("destroy the destination", Action::destroy_destination),
        event("kill the source", Action::crash_source, CrashStyle::closed),
        event("reset and kill the source", Action::crash_source, CrashStyle::reset),
        event("power off the source's host", Action::crash_source, CrashStyle::silent),
        event("kill the destination", Action::crash_destination, CrashStyle::closed),
        event("reset and kill the destination", Action::crash_destination, CrashStyle::reset),
        event("power off the destination's host", Action::crash_destination, CrashStyle::silent),
        event("power off the guest", Action::power_off_guest),
        event("stop the guest", Action::stop_guest),
        fault("reset the way there", Fault::reset, 0),
        fault("reset the way back", Fault::reset, 1),
        fault("lose the way there", Fault::lose, 0),
        fault("lose the way back", Fault::lose, 1),
        fault("stall the way there", Fault::stall, 0),
        fault("stall the way back", Fault::stall, 1),
        fault("shut the way there down", Fault::end, 0),
    };
    return list;
}

namespace {

/// One small disk, as each step of what is sent of it costs a run.
void add_few_disks(Plan& plan, Random& random, DiskUse use) {
    add_disks(plan, random, use);
    for (NodePlan* node : {&plan.source, &plan.destination}) {
        node->disks.resize(std::min<std::size_t>(node->disks.size(), 1));
        for (DiskPlan& disk : node->disks) {
            disk.sectors = std::min<std::uint64_t>(disk.sectors, 40);
        }
    }
    plan.disk_workload.total_requests = std::min<std::uint64_t>(plan.disk_workload.total_requests, 4);
    plan.link.pipes[0].capacity_bytes = std::max<std::size_t>(plan.link.pipes[0].capacity_bytes, 512 * 1024);
}

}  // namespace

Plan make_short_plan(std::uint64_t seed) {
    Random random(seed * 0x2545f4914f6cdd1dULL + 3);
    Plan plan = make_base(seed, random);
    plan.theme = "every step";
    plan.source.blocks = {BlockPlan{"sim.ram0", random.between(1, 3)}};
    plan.destination.blocks = plan.source.blocks;
    plan.workload.total_writes = std::min<std::uint64_t>(plan.workload.total_writes, 20);
    plan.style.preempt_percent = std::min(plan.style.preempt_percent, 3U);
    plan.link.pipes[0].bytes_per_s = std::max<std::uint64_t>(plan.link.pipes[0].bytes_per_s, 1'000'000);
    plan.pairing = static_cast<Pairing>(seed % 3);
    plan.cancels_between = random.percent(50);
    if (seed % 9 == 0 || seed % 30 == 15) {
        add_few_disks(plan, random, seed % 9 == 0 ? DiskUse::shared : DiskUse::moved);
    }
    if (seed % 15 == 6) {
        add_direct(plan, random);  // between two godwits
    }
    shorten_deadlines(plan.parameters, random);
    shorten_deadlines(plan.destination_parameters, random);
    return plan;
}

Plan disturbed(const Plan& plan, const Disturbance& disturbance, std::uint64_t moment) {
    Plan changed = plan;
    if (disturbance.event) {
        changed.events.push_back(*disturbance.event);
        changed.events.back().trigger.kind = Trigger::Kind::step;
        changed.events.back().trigger.step = moment;
        return changed;
    }
    PipeFaults& faults = changed.link.faults[static_cast<std::size_t>(disturbance.direction)];
    switch (disturbance.fault) {
        case RelativeFault::Kind::none:
            break;
        case RelativeFault::Kind::reset:
            faults.reset_after_bytes = moment;
            break;
        case RelativeFault::Kind::lose:
            faults.lose_after_bytes = moment;
            break;
        case RelativeFault::Kind::stall:
            faults.stall_after_bytes = moment;
            faults.stall_time = forever;
            break;
        case RelativeFault::Kind::end:
            faults.end_after_bytes = moment;
            break;
    }
    return changed;
}

Moments moments_of(const Plan& plan, const Disturbance& disturbance, Pools& pools, Outcome& outcome) {
    outcome = Trial(without_disturbances(disturbed(plan, disturbance, no_limit)), pools, false).run();
    const Baseline& baseline = outcome.baseline;
    if (disturbance.event) {
        return Moments{baseline.setup_step, std::min(baseline.end_step + steps_after_the_end, outcome.steps), 1, 0};
    }
    const std::uint64_t bytes = baseline.bytes[static_cast<std::size_t>(disturbance.direction)];
    return Moments{0, bytes, std::max<std::uint64_t>(bytes / most_bytes_tried, 1),
                   bytes - std::min(bytes, last_bytes_tried)};
}

}  // namespace godwit::sim
