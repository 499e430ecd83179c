#include "trial.h"

#include <algorithm>
#include <utility>

#include "disk_settings.h"
#include "verdict.h"

namespace godwit::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// What follows the end of a migration (closing, joining) must be over by then.
constexpr Duration settle_time = milliseconds(100);

}  // namespace

Trial::Trial(const Plan& plan, Pools& pools, bool trace)
    : plan_(plan), world_(std::make_unique<World>(plan.seed, plan.style, pools.stacks)), pools_(pools) {
    if (trace) {
        world_->scheduler().enable_trace();
    }
    guest_ = std::make_unique<SimGuest>(*world_, pools.buffers, plan_.source.blocks, plan_.workload);
    ownership_ = std::make_unique<Ownership>(*world_, *guest_);
    ownership_->copied = !plan_.link.bidirectional;
    source_ = std::make_unique<Node>(*world_, *ownership_, pools.buffers, 0, "S", plan_.source, plan_.source_state);
    destination_ =
        std::make_unique<Node>(*world_, *ownership_, pools.buffers, 1, "D", plan_.destination, RunState::inmigrate);
    guest_->fill(source_->memory);
    if (plan_.disk_use != DiskUse::none) {
        make_disks();
    }
    place_ = std::make_shared<Rendezvous>(*world_);
    place_->properties = plan_.link;
    place_->outcome = plan_.connect;
    place_->connect_time = plan_.connect_time;
    source_->place = place_;
    destination_->place = place_;
    destination_->end = 1;
    source_->memory.forbid_zeroing(true);
    source_->outgoing_observer.refuse_setup = plan_.source_listener_refuses;
    destination_->machine.run_state_unknown = plan_.parameters.legacy_stream;
}

Trial::~Trial() = default;

Outcome Trial::run() {
    scheduler().spawn(-1, "director", [this] { direct(); });
    const Stuck stuck = scheduler().run();
    Outcome outcome;
    outcome.description = plan_.describe();
    if (stuck != Stuck::no) {
        world_->violation(fmt::format("{} after {} ms of virtual time and {} steps; the fibers:\n{}",
                                      stuck == Stuck::deadlock ? "deadlock" : "the run does not come to an end",
                                      now().count() / 1'000'000, scheduler().steps(), scheduler().describe_fibers()));
    }
    outcome.violations = world_->violations();
    outcome.source = source_->outgoing_observer.state();
    outcome.destination = destination_->incoming_observer.state();
    outcome.source_unknown = source_->machine.ownership_unknown();
    outcome.destination_unknown = destination_->machine.ownership_unknown();
    outcome.documented_residue = ownership_->documented_residue;
    outcome.guest_moved = destination_->machine.was_started_after_load();
    outcome.passes = source_->outgoing_observer.passes();
    outcome.baseline = baseline_;
    outcome.seen = seen_;
    outcome.precopy_time = precopy_time_;
    outcome.precopy_bytes = precopy_bytes_;
    outcome.steps = scheduler().steps();
    outcome.fingerprint = scheduler().fingerprint();
    outcome.virtual_time = now();
    if (stuck != Stuck::no) {
        // Blocked fibers refer to all of this: it stays as it is, as the run has failed anyway.
        scheduler().abandon();
        static_cast<void>(third_.release());
        static_cast<void>(destination_.release());
        static_cast<void>(source_.release());
        static_cast<void>(ownership_.release());
        static_cast<void>(disk_guest_.release());
        static_cast<void>(guest_.release());
        static_cast<void>(world_.release());
    } else {
        third_.reset();
        destination_.reset();
        source_.reset();
        place_.reset();
        for (const std::string& violation : world_->violations()) {
            if (std::find(outcome.violations.begin(), outcome.violations.end(), violation) ==
                outcome.violations.end()) {
                outcome.violations.push_back(violation);
            }
        }
    }
    return outcome;
}

void Trial::direct() {
    arm_events();
    start_destination(*destination_);
    scheduler().sleep_for(plan_.source_start_delay);
    start_source(*source_);
    wait_for_end();
    scheduler().sleep_for(settle_time);
    armed_ = false;
    see_disks();
    measure_precopy();
    Verdict(*this).judge();
    if (plan_.again && world_->violations().empty()) {
        migrate_again();
    }
    tear_down();
    scheduler().stop();
}

void Trial::start_destination(Node& node) {
    if (plan_.pairing == Pairing::godwit_to_qemu) {
        qemu_destination_ = std::make_unique<QemuDestination>(node);
        pollers_.push_back(&scheduler().spawn(node.id, "D-qemu", [this] { qemu_destination_->run(); }));
        return;
    }
    node.executor.post([this, &node] {
        if (plan_.destination_thread_fails && &node == destination_.get()) {
            node.executor.fail_next_thread();
        }
        node.create_incoming(plan_.destination_parameters);
        node.with_incoming([&](IncomingMigration& incoming) {
            node.incoming_started =
                incoming.start(std::make_unique<SimOpener>(node.place, node.clock, 1, &node.memory));
        });
    });
}

void Trial::start_source(Node& node) {
    if (plan_.pairing == Pairing::qemu_to_godwit) {
        const bool modern = !plan_.parameters.legacy_stream;
        const bool return_path = modern && plan_.parameters.return_path && plan_.link.bidirectional;
        qemu_source_ =
            std::make_unique<QemuSource>(node, QemuSource::Style{modern, return_path, plan_.link.bidirectional});
        pollers_.push_back(&scheduler().spawn(node.id, "S-qemu", [this] { qemu_source_->run(); }));
        return;
    }
    node.executor.post([this, &node] {
        if (plan_.source_thread_fails) {
            node.executor.fail_next_thread();
        }
        node.create_outgoing(&node.outgoing_observer);
        node.with_outgoing([&](Migration& migration) {
            configure(migration);
            const Status started =
                migration.start(std::make_unique<SimOpener>(node.place, node.clock, 0, &node.memory));
            node.outgoing_started = started;
        });
    });
    pollers_.push_back(&scheduler().spawn(node.id, "S-poll", [this] { poll_source(); }));
}

void Trial::configure(Migration& migration) {
    std::vector<ParameterChange> changes;
    for (const ParameterInfo& info : parameter_table()) {
        changes.push_back({&info, get_parameter(plan_.parameters, info)});
    }
    for (const ParameterInfo& info : disk_settings()) {
        changes.push_back({&info, get_parameter(plan_.parameters, info)});
    }
    if (Status set = migration.set(changes); !set) {
        world_->violation("cannot set the parameters: " + set.error().message);
    }
}

bool Trial::source_over() const {
    const Node& node = *source_;
    return node.crashed() || source_destroyed_ || node.outgoing_observer.finished() ||
           (node.outgoing_started && !*node.outgoing_started);
}

bool Trial::destination_over() const {
    const Node& node = *destination_;
    return node.crashed() || destination_destroyed_ || node.incoming_observer.finished() ||
           (node.incoming_started && !*node.incoming_started);
}

void Trial::wait_for_end() {
    const auto source_alone = [this] { return source_over(); };
    end_waiting_qemu();
    if (!wait_until(source_alone, plan_.give_up_after)) {
        world_->violation("the source's side does not end; its deadlines have passed");
        do_on(*source_, "S-give-up", [this] { cancel_source(); });
        wait_until(source_alone, seconds(1));
    }
    end_lonely_destination();
    const auto both = [this] { return destination_over(); };
    if (!wait_until(both, plan_.give_up_after)) {
        world_->violation("the destination's side does not end; its deadlines have passed");
        do_on(*destination_, "D-give-up", [this] { cancel_destination(); });
        wait_until(both, seconds(1));
    }
}

/// A QEMU source has no deadlines: what it waits for may never come. Its operator ends its program then.
void Trial::end_waiting_qemu() {
    if (qemu_source_ && !wait_until([this] { return source_over(); }, plan_.give_up_after)) {
        crash(*source_, CrashStyle::closed);
    }
}

/// A destination that nobody reached waits as long as its operator likes, and so does one whose source says nothing
/// that it knows of.
void Trial::end_lonely_destination() {
    if (!qemu_destination_) {  // which may begin after the source has ended
        wait_until([this] { return destination_over() || destination_->incoming_started; }, seconds(20));
    }
    const bool reached = place_->link != nullptr && place_->outcome != ConnectOutcome::mute;
    const bool patient = !plan_.godwit_handover() && !wait_until([this] { return destination_over(); }, seconds(20));
    if ((!reached || patient) && !destination_over()) {
        destination_cancelled_by_director_ = true;
        do_on(*destination_, "D-operator", [this] { cancel_destination(); });
    }
}

void Trial::do_on(Node& node, const char* name, std::function<void()> work) {
    Fiber& fiber = scheduler().spawn(node.id, name, std::move(work));
    pollers_.push_back(&fiber);
    if (!wait_until([&] { return fiber.state == Fiber::State::ended || node.crashed(); }, seconds(20))) {
        world_->violation(fmt::format("{} takes more than 20 s", name));
    }
}

void Trial::tear_down() {
    armed_ = false;
    for (const std::unique_ptr<PendingEvent>& pending : events_) {
        scheduler().wake_all(pending->queue);
    }
    for (Node* node : {source_.get(), destination_.get(), third_.get()}) {
        if (node == nullptr) {
            continue;
        }
        if (node->crashed()) {
            node->let_it_end();
        }
        if (node == source_.get() && qemu_source_) {
            qemu_source_->end();
        }
        if (node == destination_.get() && qemu_destination_) {
            qemu_destination_->end();
        }
        const Duration begun = now();
        node->executor.run_on_main_loop([&] { node->destroy_migrations(); });
        if (now() - begun > seconds(700)) {
            world_->violation(
                fmt::format("destroying the migrations of {} took {} s", node->name, in_ms(now() - begun) / 1000));
        }
    }
    for (const std::unique_ptr<PendingEvent>& pending : events_) {
        scheduler().join(*pending->fiber);
    }
    for (Fiber* fiber : pollers_) {
        scheduler().join(*fiber);
    }
    for (Node* node : {source_.get(), destination_.get(), third_.get()}) {
        if (node != nullptr) {
            node->wind_up();
        }
    }
}

Outcome run_seed(Plan plan, Pools& pools, bool trace) {
    if (plan.needs_baseline()) {
        Outcome undisturbed = Trial(without_disturbances(plan), pools, false).run();
        if (!undisturbed.good()) {
            return trace ? Trial(without_disturbances(plan), pools, true).run() : undisturbed;
        }
        resolve(plan, undisturbed.baseline);
    }
    return Trial(plan, pools, trace).run();
}

}  // namespace godwit::sim
