#include <algorithm>
#include <utility>

#include "migration/state_table.h"
#include "trial.h"

namespace godwit::sim {
namespace {

using std::chrono::milliseconds;

/// Nothing that answers at once may take longer, peer or no peer.
constexpr Duration at_once = milliseconds(50);

/// The node in whose program the event happens; -1 for what comes from outside.
int home_of(Action action) {
    switch (action) {
        case Action::crash_source:
        case Action::crash_destination:
            return -1;
        case Action::cancel_destination:
        case Action::yank_destination:
        case Action::destroy_destination:
            return 1;
        default:
            return 0;
    }
}

bool is_crash(Action action) {
    return action == Action::crash_source || action == Action::crash_destination;
}

}  // namespace

void Trial::arm_events() {
    for (const Event& event : plan_.events) {
        events_.push_back(std::make_unique<PendingEvent>());
        events_.back()->event = event;
        arm(*events_.back());
    }
    const auto hook_up = [this](Observer& observer) {
        observer.on_step = [this](HandoverStep step) { on_step(step); };
    };
    hook_up(source_->outgoing_observer);
    hook_up(destination_->incoming_observer);
    source_->outgoing_observer.on_state = [this](MigrationState state) { on_state(state); };
    source_->outgoing_observer.on_pass = [this](std::uint64_t pass) { on_pass(pass); };
}

void Trial::arm(PendingEvent& pending) {
    pending.fiber =
        &scheduler().spawn(home_of(pending.event.action), fmt::format("event-{}", to_string(pending.event.action)),
                           [this, &pending] { run_event(pending); });
    if (plan_.disarmed || pending.event.trigger.kind != Trigger::Kind::step) {
        return;
    }
    scheduler().at_step(pending.event.trigger.step, [this, &pending] {
        fire(pending);
        if (!is_crash(pending.event.action)) {
            scheduler().run_next(*pending.fiber);
        }
    });
}

void Trial::run_event(PendingEvent& pending) {
    if (pending.event.trigger.kind == Trigger::Kind::time) {
        scheduler().wait(pending.queue, pending.event.trigger.time, "the time of an event");
        pending.due = true;
    }
    while (!pending.due && armed_) {
        scheduler().wait(pending.queue, forever, "the moment of an event");
    }
    // A crash at anything but a time has already been acted by fire().
    const bool acted = is_crash(pending.event.action) && pending.event.trigger.kind != Trigger::Kind::time;
    if (armed_ && !plan_.disarmed && !acted) {
        act(pending.event);
    }
}

/// Crashes happen here and now, in the step that triggers them; for the rest a thread begins to act.
void Trial::fire(PendingEvent& pending) {
    if (!armed_ || plan_.disarmed || pending.due) {
        return;
    }
    pending.due = true;
    scheduler().wake_all(pending.queue);
    if (is_crash(pending.event.action)) {
        act(pending.event);
    }
}

void Trial::crash(Node& node, CrashStyle style) {
    node.crash(style);
    const Fiber* self = scheduler().running();
    if (self != nullptr && self->node == node.id) {
        scheduler().yield();
    }
}

void Trial::on_step(HandoverStep step) {
    if (step == HandoverStep::source_stopping) {
        baseline_.stopping_step = scheduler().steps();
    }
    for (const std::unique_ptr<PendingEvent>& pending : events_) {
        const Trigger& trigger = pending->event.trigger;
        if (trigger.kind == Trigger::Kind::handover_step && trigger.handover_step == step) {
            fire(*pending);
        }
    }
    if (plan_.standstill && plan_.standstill->step == step && armed_ && !plan_.disarmed) {
        world_->trace("event: stands still");
        WaitQueue nobody;
        const Duration until = world_->now() + plan_.standstill->time;
        while (world_->now() < until) {
            scheduler().wait(nobody, until, "the end of a standstill");
        }
    }
}

void Trial::on_state(MigrationState state) {
    if (state == MigrationState::setup) {
        baseline_.setup_step = scheduler().steps();
        source_->with_outgoing([&](Migration& migration) {
            if (!migration.in_setup() || migration.is_active() || migration.state() != MigrationState::setup) {
                world_->violation("in the notification of setup the migration does not say that it is in setup");
            }
            const std::shared_ptr<Link>& link = source_->place->link;
            if (source_->dirty.tracking() || (link != nullptr && link->outgoing(0).written() != 0)) {
                world_->violation("the migration has begun before setup was announced");
            }
        });
    } else if (source_->outgoing_observer.finished()) {
        baseline_.end_step = scheduler().steps();
        for (int end = 0; end < 2; ++end) {
            baseline_.bytes[end] = place_->link != nullptr ? place_->link->outgoing(end).written() : 0;
        }
    }
    for (const std::unique_ptr<PendingEvent>& pending : events_) {
        const Trigger& trigger = pending->event.trigger;
        if (trigger.kind == Trigger::Kind::state && trigger.state == state) {
            fire(*pending);
        }
    }
}

void Trial::on_pass(std::uint64_t pass) {
    for (const std::unique_ptr<PendingEvent>& pending : events_) {
        const Trigger& trigger = pending->event.trigger;
        if (trigger.kind == Trigger::Kind::pass && trigger.pass == pass) {
            fire(*pending);
        }
    }
}

void Trial::act(const Event& event) {
    world_->trace("event: {}", to_string(event.action));
    switch (event.action) {
        case Action::cancel_source:
            return cancel_source();
        case Action::cancel_destination:
            return cancel_destination();
        case Action::yank_source:
            return yank_source();
        case Action::yank_destination:
            return yank_destination();
        case Action::crash_source:
            return crash(*source_, event.crash_style);
        case Action::crash_destination:
            return crash(*destination_, event.crash_style);
        case Action::destroy_source:
            return destroy(*source_, source_destroyed_);
        case Action::destroy_destination:
            return destroy(*destination_, destination_destroyed_);
        case Action::stop_guest:
            return source_->machine.operator_stop();
        case Action::continue_guest:
            source_->machine.operator_cont();
            return;
        case Action::power_off_guest:
            guest_powered_off_ = true;
            source_->guest_powers_off_soon = true;
            return source_->poke_guest();
        case Action::change_parameter:
            return change_parameter(event);
    }
}

/// A setting that may not change while a migration runs is refused, and only then.
void Trial::change_parameter(const Event& event) {
    source_->with_outgoing([&](Migration& migration) {
        const bool ran_before = is_running(migration.state());
        const std::uint64_t changes_before = source_->outgoing_observer.changes();
        const Status answer = migration.set(*event.parameter, event.value);
        const bool ran_after = is_running(migration.state());
        if (source_->crashed()) {
            return;
        }
        const bool ran = ran_before || ran_after || source_->outgoing_observer.changes() != changes_before;
        if (!answer && (event.parameter->while_running || !ran)) {
            world_->violation(fmt::format("{} cannot be changed: {}", event.parameter->name, answer.error().message));
        }
        if (answer && !event.parameter->while_running && ran_before && ran_after) {
            world_->violation(fmt::format("{} was changed while a migration runs", event.parameter->name));
        }
    });
}

void Trial::cancel_qemu_source() {
    if (source_over() || (qemu_source_->is_between() && !plan_.cancels_between)) {
        return;
    }
    ownership_->residue_possible = qemu_source_->is_between();
    qemu_source_->cancel();
}

void Trial::cancel_source() {
    if (qemu_source_) {
        return cancel_qemu_source();
    }
    source_->with_outgoing([&](Migration& migration) {
        const MigrationState before = migration.state();
        const Duration asked_at = now();
        const Status answer = migration.cancel();
        const MigrationState after = migration.state();
        world_->trace("cancel: {}, {} -> {}", answer ? "accepted" : answer.error().message, static_cast<int>(before),
                      static_cast<int>(after));
        if (source_->crashed()) {
            return;
        }
        if (now() - asked_at > at_once) {
            world_->violation(fmt::format("cancel took {} ms", in_ms(now() - asked_at)));
        }
        if (!answer) {
            if (answer.error().code != ErrorCode::too_late) {
                world_->violation("cancel failed: " + answer.error().message);
            }
            if (is_running(after) && after != MigrationState::handing_over) {
                world_->violation("cancel came too late, but the migration goes on");
            }
            return;
        }
        // `completed` is possible: it may have been over when the cancel looked, and then there was nothing to do.
        if (is_running(after) && after != MigrationState::cancelling) {
            world_->violation(fmt::format("cancel was accepted, but the state is {}", to_string(after)));
        }
        if (!source_cancel_ && after != MigrationState::none && before != MigrationState::none) {
            source_cancel_ = AcceptedCancel{asked_at, after};
        }
    });
}

void Trial::cancel_destination() {
    if (qemu_destination_) {
        return crash(*destination_, CrashStyle::closed);  // its program is ended
    }
    destination_->with_incoming([&](IncomingMigration& incoming) {
        const Duration asked_at = now();
        const Status answer = incoming.cancel();
        const MigrationState after = incoming.state();
        world_->trace("cancel: {}", answer ? "accepted" : answer.error().message);
        if (destination_->crashed()) {
            return;
        }
        if (now() - asked_at > at_once) {
            world_->violation(fmt::format("the destination's cancel took {} ms", in_ms(now() - asked_at)));
        }
        if (!answer && answer.error().code != ErrorCode::too_late) {
            world_->violation("the destination's cancel failed: " + answer.error().message);
        }
        if (answer && !destination_cancel_ && after != MigrationState::none) {
            destination_cancel_ = AcceptedCancel{asked_at, after};
        }
    });
}

/// A connection that is gone: what follows is judged like any lost connection.
void Trial::yank_source() {
    source_->with_outgoing([&](Migration& migration) {
        const Duration asked_at = now();
        migration.yank();
        if (!source_->crashed() && now() - asked_at > at_once) {
            world_->violation(fmt::format("yank took {} ms", in_ms(now() - asked_at)));
        }
    });
}

void Trial::yank_destination() {
    destination_->with_incoming([&](IncomingMigration& incoming) {
        const Duration asked_at = now();
        incoming.yank();
        if (!destination_->crashed() && now() - asked_at > at_once) {
            world_->violation(fmt::format("the destination's yank took {} ms", in_ms(now() - asked_at)));
        }
    });
}

void Trial::destroy(Node& node, bool& destroyed) {
    if ((&node == source_.get() && qemu_source_) || (&node == destination_.get() && qemu_destination_)) {
        return crash(node, CrashStyle::closed);
    }
    node.executor.post([this, &node, &destroyed] {
        const Duration begun = now();
        bool exists = false;
        node.with_outgoing([&](Migration&) { exists = true; });
        node.with_incoming([&](IncomingMigration&) { exists = true; });
        node.destroy_migrations();
        destroyed = destroyed || exists;  // it may not have begun yet: then it will, untouched
        const Duration taken = now() - begun;
        const Duration deadline = milliseconds(plan_.longest_deadlines().switchover_timeout_ms) + milliseconds(800);
        if (!node.crashed() && taken > deadline) {
            world_->violation(fmt::format("destroying the migration of {} took {} ms", node.name, in_ms(taken)));
        }
    });
}

}  // namespace godwit::sim
