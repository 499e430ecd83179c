#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "plan.h"

namespace godwit::sim {

std::string_view to_string(Action action) {
    static constexpr std::string_view names[] = {
        "cancel the source", "cancel the destination", "yank the source",     "yank the destination",
        "crash the source",  "crash the destination",  "destroy the source",  "destroy the destination",
        "stop the guest",    "continue the guest",     "power off the guest", "change a parameter"};
    return names[static_cast<std::size_t>(action)];
}

namespace {

bool disturbs(const Event& event) {
    return event.action != Action::stop_guest && event.action != Action::continue_guest &&
           event.action != Action::change_parameter;
}

std::string describe(const Trigger& trigger) {
    switch (trigger.kind) {
        case Trigger::Kind::time:
            return fmt::format("at {} us", trigger.time.count() / 1000);
        case Trigger::Kind::step:
            return fmt::format("at step {}", trigger.step);
        case Trigger::Kind::handover_step:
            return fmt::format("at {}", to_string(trigger.handover_step));
        case Trigger::Kind::state:
            return fmt::format("at state {}", to_string(trigger.state));
        case Trigger::Kind::pass:
            return fmt::format("at pass {}", trigger.pass);
    }
    return "";
}

void apply(PipeFaults& faults, const RelativeFault& fault, std::uint64_t undisturbed_bytes) {
    const std::uint64_t from_end = std::min(fault.bytes_from_end, undisturbed_bytes);
    const std::uint64_t at = fault.from_end ? undisturbed_bytes - from_end : undisturbed_bytes * fault.per_mille / 1000;
    switch (fault.kind) {
        case RelativeFault::Kind::none:
            break;
        case RelativeFault::Kind::reset:
            faults.reset_after_bytes = at;
            break;
        case RelativeFault::Kind::lose:
            faults.lose_after_bytes = at;
            break;
        case RelativeFault::Kind::stall:
            faults.stall_after_bytes = at;
            faults.stall_time = fault.stall_time;
            break;
        case RelativeFault::Kind::end:
            faults.end_after_bytes = at;
            break;
    }
}

}  // namespace

bool Plan::undisturbed() const {
    return theme == "undisturbed";
}

std::string_view to_string(Pairing pairing) {
    static constexpr std::string_view names[] = {"godwit to godwit", "godwit to QEMU", "QEMU to godwit"};
    return names[static_cast<std::size_t>(pairing)];
}

bool Plan::destination_asks() const {
    return pairing != Pairing::godwit_to_qemu && parameters.return_path && !parameters.legacy_stream &&
           link.bidirectional;
}

bool Plan::godwit_handover() const {
    return pairing == Pairing::godwit_to_godwit && parameters.return_path && !parameters.legacy_stream &&
           link.bidirectional;
}

MigrationParameters Plan::longest_deadlines() const {
    MigrationParameters longest = parameters;
    for (const Event& event : events) {
        const std::uint64_t* value = std::get_if<std::uint64_t>(&event.value);
        if (event.action == Action::change_parameter && event.parameter->unit == "ms" && value != nullptr &&
            *value > std::get<std::uint64_t>(get_parameter(longest, *event.parameter))) {
            GODWIT_ASSERT(set_parameter(longest, *event.parameter, event.value).has_value(), "{} = {}",
                          event.parameter->name, *value);
        }
    }
    return longest;
}

bool Plan::needs_baseline() const {
    const bool by_step =
        std::any_of(events.begin(), events.end(), [](const Event& e) { return e.trigger.kind == Trigger::Kind::step; });
    return by_step || !faults.empty();
}

void resolve(Plan& plan, const Baseline& baseline) {
    for (const RelativeFault& fault : plan.faults) {
        const auto direction = static_cast<std::size_t>(fault.direction);
        apply(plan.link.faults[direction], fault, baseline.bytes[direction]);
    }
    for (Event& event : plan.events) {
        if (event.trigger.kind == Trigger::Kind::step) {
            const bool late = event.trigger.in_switchover && baseline.stopping_step != 0;
            const std::uint64_t start = late ? baseline.stopping_step : baseline.setup_step;
            const std::uint64_t steps = baseline.end_step - std::min(start, baseline.end_step);
            event.trigger.step = start + steps * event.trigger.per_mille / 1000;
        }
    }
}

std::string_view to_string(DiskUse use) {
    static constexpr std::string_view names[] = {"", "shared disks", "moved disks"};
    return names[static_cast<std::size_t>(use)];
}

std::string Plan::describe() const {
    std::uint64_t pages = 0;
    for (const BlockPlan& block : source.blocks) {
        pages += block.pages;
    }
    std::string text = fmt::format(
        "{}, {}: {} pages, {} B/s, latency {} us{}{}{}", to_string(pairing), theme, pages, link.pipes[0].bytes_per_s,
        link.pipes[0].latency.count() / 1000, parameters.legacy_stream ? ", 2013 shape" : "",
        parameters.return_path ? "" : ", no return path", link.bidirectional ? "" : ", one way");
    text += describe_disks();
    text += describe_direct();
    for (const auto& [fails, what] :
         {std::pair{source_listener_refuses, "a listener refuses"},
          std::pair{source_thread_fails, "no thread at the source"},
          std::pair{destination_thread_fails, "no thread at the destination"},
          std::pair{source.machine.stop_fails, "the guest cannot be stopped"},
          std::pair{source.machine.release_fails, "disks cannot be released"},
          std::pair{destination.machine.start_fails, "the guest cannot be started"},
          std::pair{source.device.save_fails, "a device cannot be saved"},
          std::pair{destination.device.load_fails, "a device cannot be loaded"},
          std::pair{source.dirty.failing_start + source.dirty.failing_collect + source.dirty.failing_clear > 0,
                    "dirty tracking fails"},
          std::pair{destination.machine_type != source.machine_type, "other machine type"}}) {
        if (fails) {
            text += fmt::format(", {}", what);
        }
    }
    if (connect != ConnectOutcome::connects) {
        text += fmt::format(", connect outcome {}", static_cast<int>(connect));
    }
    for (std::size_t i = 0; i < 2; ++i) {
        const PipeFaults& struck = link.faults[i];
        const char* direction = i == 0 ? "to the destination" : "to the source";
        if (struck.reset_after_bytes != no_limit) {
            text += fmt::format(", reset after {} bytes {}", struck.reset_after_bytes, direction);
        }
        if (struck.end_after_bytes != no_limit) {
            text += fmt::format(", shutdown after {} bytes {}", struck.end_after_bytes, direction);
        }
        if (struck.lose_after_bytes != no_limit) {
            text += fmt::format(", loss after {} bytes {}", struck.lose_after_bytes, direction);
        }
        if (struck.stall_after_bytes != no_limit) {
            text += fmt::format(
                ", stall after {} bytes {}{}", struck.stall_after_bytes, direction,
                struck.stall_time == forever ? "" : fmt::format(" for {} ms", struck.stall_time.count() / 1'000'000));
        }
    }
    for (const Event& event : events) {
        const std::string what = event.action == Action::change_parameter
                                     ? fmt::format("change {}", event.parameter->name)
                                     : std::string(sim::to_string(event.action));
        text += fmt::format(", {} {}{}", what, sim::describe(event.trigger), disturbs(event) ? "" : " (harmless)");
    }
    return text;
}

}  // namespace godwit::sim
