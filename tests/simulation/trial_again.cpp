#include "disk_settings.h"
#include "trial.h"

namespace godwit::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

/// Whatever happened, the guest can move once more, undisturbed, from the node where it now is. If nobody knows whose
/// it is, the operator decides first.
void Trial::migrate_again() {
    Node* owner = source_->machine.may_run()        ? source_.get()
                  : destination_->machine.may_run() ? destination_.get()
                                                    : nullptr;
    if (owner == nullptr && !source_->crashed() && source_->machine.ownership_unknown() &&
        !destination_->machine.was_started_after_load()) {
        destination_->crash(CrashStyle::closed);
        owner = source_.get();
        do_on(*owner, "S-operator", [&] {
            owner->machine.operator_force();
            owner->with_outgoing([](Migration& migration) { migration.forget_handover(); });
        });
    }
    const bool is_qemu = (owner == source_.get() && qemu_source_) || (owner == destination_.get() && qemu_destination_);
    if (owner == nullptr || is_qemu || plan_.parameters.legacy_stream) {
        return;
    }
    world_->trace("once more, from {}", owner->name);
    NodePlan third = plan_.source;
    third.content = plan_.destination.content;
    third.machine.start_fails = false;
    third.device = DevicePlan{};
    third_ = std::make_unique<Node>(*world_, *ownership_, pools_.buffers, 2, "T", third, RunState::inmigrate);
    if (disk_guest_) {
        add_third_disks(*owner);
    }
    auto place = std::make_shared<Rendezvous>(*world_);
    place->properties.pipes = plan_.link.pipes;
    place->properties.direct = plan_.link.direct;
    place->properties.direct.heal();
    owner->place = place;
    owner->end = 0;
    owner->memory.forbid_zeroing(true);
    third_->place = place;
    third_->end = 1;
    owner->heal();
    guest_->allow_more_writes(50);
    owner->poke_guest();
    MigrationParameters defaults;
    defaults.block = plan_.moves_disks();
    third_->executor.run_on_main_loop([&] {
        third_->create_incoming(defaults);
        third_->with_incoming([&](IncomingMigration& incoming) {
            third_->incoming_started =
                incoming.start(std::make_unique<SimOpener>(place, third_->clock, 1, &third_->memory));
        });
    });
    scheduler().sleep_for(milliseconds(1));
    std::optional<Status> started;
    owner->executor.run_on_main_loop([&] {
        bool missing = true;
        owner->with_outgoing([&](Migration&) { missing = false; });
        if (missing) {
            owner->outgoing_observer.start_anew();
            owner->create_outgoing(&owner->outgoing_observer);
        }
        owner->outgoing_observer.refuse_setup = false;
        owner->with_outgoing([&](Migration& migration) {
            for (const ParameterInfo& info : parameter_table()) {
                static_cast<void>(migration.set(info, get_parameter(defaults, info)));
            }
            for (const ParameterInfo& info : disk_settings()) {
                static_cast<void>(migration.set(info, get_parameter(defaults, info)));
            }
            started = migration.start(std::make_unique<SimOpener>(place, owner->clock, 0, &owner->memory));
        });
    });
    if (!started || !*started) {
        world_->violation("a second migration cannot start: " +
                          (started ? started->error().message : std::string("no object")));
        return;
    }
    const bool over = wait_until(
        [&] { return owner->outgoing_observer.finished() && third_->incoming_observer.finished(); }, seconds(60));
    scheduler().sleep_for(milliseconds(100));
    if (owner->machine.state() == RunState::shutdown || third_->machine.state() == RunState::shutdown) {
        return;  // the guest has powered itself off meanwhile
    }
    if (!over || owner->outgoing_observer.state() != MigrationState::completed || !third_->machine.may_run()) {
        std::string why = "no error";
        owner->with_outgoing([&](Migration& migration) {
            if (const std::optional<Error> error = migration.statistics().error) {
                why = error->message;
            }
        });
        world_->violation(
            fmt::format("the second migration is {}: {}", to_string(owner->outgoing_observer.state()), why));
    }
}

}  // namespace godwit::sim
