#include "plan_parts.h"

#include <algorithm>
#include <array>

namespace godwit::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

Trigger random_trigger(Random& random) {
    Trigger trigger;
    switch (random.below(10)) {
        case 0:
        case 1:
            trigger.kind = Trigger::Kind::time;
            trigger.time = random_time(random, microseconds(10), milliseconds(400));
            break;
        case 2:
            trigger.kind = Trigger::Kind::state;
            trigger.state = random.percent(30)   ? MigrationState::setup
                            : random.percent(50) ? MigrationState::active
                                                 : MigrationState::handing_over;
            break;
        case 3:
            trigger.kind = Trigger::Kind::pass;
            trigger.pass = random.between(1, 4);
            break;
        case 4:
        case 5:
        case 6:
            trigger.kind = Trigger::Kind::handover_step;
            trigger.handover_step = static_cast<HandoverStep>(random.below(13));
            break;
        default:
            trigger.kind = Trigger::Kind::step;
            trigger.per_mille = random.below(1'001);
            trigger.in_switchover = random.percent(70);
            break;
    }
    return trigger;
}

/// A setting changes to something that disturbs nothing. What may not change while a migration runs changes to what it
/// is: all that can be seen is the refusal.
void choose_change(const Plan& plan, Random& random, Event& event) {
    const std::vector<ParameterInfo>& table = parameter_table();
    event.parameter = &table[random.below(table.size())];
    event.value = get_parameter(plan.parameters, *event.parameter);
    if (std::holds_alternative<std::string MigrationParameters::*>(event.parameter->member)) {
        event.value = std::string_view();  // what it is, and nothing that the plan owns
    } else if (event.parameter->name == "max-bandwidth") {
        const std::uint64_t least = plan.moves_disks() ? 10'000'000 : 1'000'000;
        event.value = random.percent(30) ? 0 : random.spread(least, 1'000'000'000);
    } else if (event.parameter->name == "downtime-limit") {
        event.value = random.spread(1, 2'000) - 1;
    } else if (event.parameter->name == "xbzrle-cache-size") {
        event.value = page_bytes << random.below(9);
    } else if (event.parameter->name == "avail-switchover-bandwidth") {
        event.value = random.spread(1'000'000, 1'000'000'000);
    } else if (event.parameter->unit == "ms" && event.parameter->while_running) {
        event.value = std::get<std::uint64_t>(event.value) * random.between(100, 200) / 100;
    }
}

Event random_event(const Plan& plan, Random& random, Action action) {
    Event event;
    event.trigger = random_trigger(random);
    event.action = action;
    event.crash_style = static_cast<CrashStyle>(random.below(3));
    if (action == Action::change_parameter) {
        choose_change(plan, random, event);
    }
    return event;
}

void add_crash(Plan& plan, Random& random) {
    plan.events.push_back(
        random_event(plan, random, random.percent(50) ? Action::crash_source : Action::crash_destination));
}

void add_link_fault(Plan& plan, Random& random) {
    if (random.percent(10)) {
        plan.connect = static_cast<ConnectOutcome>(random.between(1, 3));
        return;
    }
    RelativeFault fault;
    fault.kind = static_cast<RelativeFault::Kind>(random.between(1, 3));
    fault.direction = random.percent(50) ? 0 : 1;
    fault.per_mille = random.below(1'001);
    fault.from_end = random.percent(50);
    fault.bytes_from_end = random.spread(1, 4'000) - 1;
    fault.stall_time = random.percent(50) ? forever : random_time(random, milliseconds(1), milliseconds(3'000));
    plan.faults.push_back(fault);
}

void add_failure(Plan& plan, Random& random) {
    if (plan.disk_use != DiskUse::none && random.percent(80)) {
        return add_disk_failure(plan, random);
    }
    if (plan.direct() && random.percent(40)) {
        return add_direct_failure(plan, random);
    }
    switch (random.below(15)) {
        case 0:
            plan.source_listener_refuses = true;
            break;
        case 1:
            plan.source.machine.stop_fails = true;
            break;
        case 2:
            plan.source.machine.release_fails = true;
            break;
        case 3:
            plan.destination.machine.start_fails = true;
            break;
        case 4:
            plan.source.device.save_fails = true;
            break;
        case 5:
            plan.destination.device.load_fails = true;
            break;
        case 6:
            plan.source.dirty.failing_start = 1;
            break;
        case 7:
            plan.source.dirty.failing_collect = static_cast<unsigned>(random.between(1, 4));
            break;
        case 8:
            plan.source.dirty.failing_clear = static_cast<unsigned>(random.between(1, 6));
            break;
        case 9:
            plan.destination.blocks[random.below(plan.destination.blocks.size())].pages += 1;
            break;
        case 10:
            plan.destination.blocks[0].id += "x";
            break;
        case 11:
            plan.destination.machine_type = "other";
            break;
        case 12:
            plan.source_thread_fails = true;
            break;
        case 13:
            plan.destination_thread_fails = true;
            break;
        default:
            plan.events.push_back(random_event(plan, random, Action::power_off_guest));
            break;
    }
}

/// What an operator does meanwhile, which disturbs nothing.
void add_operator(Plan& plan, Random& random) {
    for (std::uint64_t i = random.below(4); i > 0; --i) {
        const Action action = random.percent(40)   ? Action::stop_guest
                              : random.percent(60) ? Action::continue_guest
                                                   : Action::change_parameter;
        plan.events.push_back(random_event(plan, random, action));
    }
}

/// What disturbs the plan's world: 0 to 99.
void choose_disturbances(Plan& plan, Random& random, std::uint64_t theme) {
    if (theme >= 12) {
        shorten_deadlines(plan.parameters, random);
        shorten_deadlines(plan.destination_parameters, random);
    }
    if (random.percent(30)) {
        add_operator(plan, random);
    }
    if (theme < 12) {
        plan.theme = "undisturbed";
        slow_first_flush(plan, random);
        return;
    }
    if (theme < 32) {
        plan.theme = "link fault";
        add_link_fault(plan, random);
    } else if (theme < 47) {
        plan.theme = "cancel";
        plan.events.push_back(random_event(plan, random, Action::cancel_source));
    } else if (theme < 70) {
        plan.theme = "crash";
        add_crash(plan, random);
    } else if (theme < 80) {
        plan.theme = "failure";
        add_failure(plan, random);
    } else if (theme < 88) {
        static constexpr Action actions[] = {Action::cancel_destination, Action::destroy_source,
                                             Action::destroy_destination, Action::yank_source,
                                             Action::yank_destination};
        plan.theme = "given up";
        plan.events.push_back(random_event(plan, random, actions[random.below(5)]));
    } else {
        plan.theme = "several";
        add_link_fault(plan, random);
        plan.events.push_back(random_event(plan, random, Action::cancel_source));
        if (random.percent(50)) {
            add_crash(plan, random);
        }
        if (random.percent(30)) {
            add_failure(plan, random);
        }
    }
}

}  // namespace

Plan make_plan(std::uint64_t seed) {
    Random random(seed * 0x2545f4914f6cdd1dULL + 1);
    Plan plan = make_base(seed, random);
    plan.again = random.percent(15);
    plan.pairing = static_cast<Pairing>(std::array{0, 0, 1, 2}.at(random.below(4)));
    plan.cancels_between = random.percent(30);
    Random disk_random(seed * 0x2545f4914f6cdd1dULL + 4);
    choose_disks(plan, disk_random);
    Random direct_random(seed * 0x2545f4914f6cdd1dULL + 7);
    choose_direct(plan, direct_random);
    choose_disturbances(plan, random, random.below(100));
    return plan;
}

Plan make_direct_plan(std::uint64_t seed) {
    Random random(seed * 0x2545f4914f6cdd1dULL + 8);
    Plan plan = make_base(seed, random);
    plan.again = random.percent(15);
    if (random.percent(15)) {
        choose_disks(plan, random);
    }
    add_direct(plan, random);
    constexpr std::uint64_t failure = 75;
    choose_disturbances(plan, random, random.percent(10) ? failure : random.below(100));
    return plan;
}

Plan make_disk_plan(std::uint64_t seed) {
    Random random(seed * 0x2545f4914f6cdd1dULL + 5);
    Plan plan = make_base(seed, random);
    plan.again = random.percent(15);
    add_disks(plan, random, random.percent(90) ? DiskUse::moved : DiskUse::shared);
    constexpr std::uint64_t failure = 75;
    choose_disturbances(plan, random, random.percent(25) ? failure : random.below(100));
    return plan;
}

Plan make_race_plan(std::uint64_t seed) {
    Random random(seed * 0x2545f4914f6cdd1dULL + 2);
    Plan plan = make_base(seed, random);
    plan.theme = "race";
    plan.source.blocks = {BlockPlan{"sim.ram", random.between(1, 8)}};
    plan.destination.blocks = plan.source.blocks;
    plan.workload.total_writes = std::min<std::uint64_t>(plan.workload.total_writes, 30);
    plan.style.preempt_percent = std::max(plan.style.preempt_percent, 10U);
    shorten_deadlines(plan.parameters, random);
    shorten_deadlines(plan.destination_parameters, random);
    Random disk_random(seed * 0x2545f4914f6cdd1dULL + 6);
    if (disk_random.percent(15)) {
        add_disks(plan, disk_random, disk_random.percent(20) ? DiskUse::moved : DiskUse::shared);
    }
    Random direct_random(seed * 0x2545f4914f6cdd1dULL + 9);
    choose_direct(plan, direct_random);
    if (random.percent(35)) {
        add_link_fault(plan, random);
        plan.connect = ConnectOutcome::connects;
    } else if (random.percent(20)) {
        add_failure(plan, random);
    }
    Event cancel = random_event(plan, random, Action::cancel_source);
    cancel.trigger = Trigger{};
    cancel.trigger.kind = Trigger::Kind::step;
    cancel.trigger.per_mille = random.below(1'101);
    cancel.trigger.in_switchover = true;
    plan.events.push_back(cancel);
    return plan;
}

Plan without_disturbances(const Plan& plan) {
    Plan calm = plan;
    calm.disarmed = true;
    calm.again = false;
    return calm;
}

}  // namespace godwit::sim
