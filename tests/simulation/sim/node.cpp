#include "sim/node.h"

#include <utility>

namespace godwit::sim {

void Node::NodeLog::write(LogLevel level, std::string_view line) {
    static constexpr std::array<const char*, 4> names{"debug", "info", "warning", "error"};
    world_.trace("log {}: {}", names[static_cast<std::size_t>(level)], line);
}

Node::Node(World& world_in, Ownership& ownership, BufferPool& buffers, int id_in, std::string name_in,
           const NodePlan& plan, RunState state)
    : world(world_in),
      id(id_in),
      name(std::move(name_in)),
      clock(world, std::chrono::seconds(static_cast<std::int64_t>(world.random().below(1'000'000)))),
      waiter(world, clock),
      executor(world, id, name),
      memory(world, buffers, plan.blocks, plan.content, plan.knows_holes),
      machine(ownership, name, memory, plan.machine, state),
      dirty(world, memory, plan.dirty),
      device(world, machine, ownership.guest, plan.device),
      outgoing_observer(world, name + " out"),
      incoming_observer(world, name + " in"),
      log_(world),
      guest_(ownership.guest),
      machine_type_(plan.machine_type) {
    guest_fiber_ = &world.scheduler().spawn(id, name + "-guest", [this] { run_guest(); });
}

Node::~Node() = default;

Environment Node::environment() {
    Environment environment{clock, waiter, executor, memory, machine, log_, {&device}, machine_type_, &dirty};
    for (const std::unique_ptr<SimDisk>& disk : disks) {
        environment.disks.push_back({disk->plan().name, disk.get(), &disk->tracker});
    }
    return environment;
}

void Node::add_disks(const std::vector<DiskPlan>& plans, const std::vector<std::shared_ptr<DiskImage>>& images) {
    for (std::size_t i = 0; i < plans.size(); ++i) {
        disks.push_back(std::make_unique<SimDisk>(world, machine, plans[i], images[i]));
    }
}

void Node::use_disks(DiskGuest& guest) {
    machine.attach(disks, guest);
    disk_guest_ = &guest;
    for (unsigned queue = 0; queue < guest.queues(); ++queue) {
        queue_fibers_.push_back(
            &world.scheduler().spawn(id, fmt::format("{}-disk{}", name, queue), [this, queue] { run_queue(queue); }));
    }
}

void Node::create_outgoing(Observer* observer) {
    outgoing_ = std::make_unique<Migration>(environment());
    if (observer != nullptr) {
        outgoing_->add_listener(*observer);
    }
}

void Node::create_incoming(const MigrationParameters& parameters) {
    incoming_ = std::make_unique<IncomingMigration>(environment(), parameters);
    incoming_->add_listener(incoming_observer);
}

void Node::destroy_migrations() {
    destroying_ = true;
    while (callers_ > 0) {
        world.scheduler().wait(callers_gone_, forever, "callers of a migration");
    }
    outgoing_.reset();
    incoming_.reset();
    destroying_ = false;
}

void Node::crash(CrashStyle style) {
    if (crashed()) {
        return;
    }
    world.trace("{} dies", name);
    machine.die();
    for (const std::unique_ptr<SimDisk>& disk : disks) {
        if (style == CrashStyle::silent) {
            disk->lose_cache();
        }
    }
    world.scheduler().freeze(id);
    if (place != nullptr) {
        place->destination_dead = place->destination_dead || end == 1;
        if (place->link != nullptr) {
            place->link->crash(end, style);
        }
        world.scheduler().wake_all(place->changed);
    }
}

void Node::let_it_end() {
    if (world.scheduler().is_frozen(id)) {
        world.trace("what is left of {} ends", name);
        world.scheduler().thaw(id);
    }
}

void Node::run_guest() {
    Scheduler& scheduler = world.scheduler();
    while (!guest_ends_) {
        if (!machine.guest_runs() || !guest_.busy()) {
            if (guest_powers_off_soon && machine.guest_runs()) {
                machine.guest_powers_off();
                continue;
            }
            scheduler.wait(machine.guest_may_run, forever, "the guest to run");
            continue;
        }
        const Duration pause = guest_.pause() * 100 / (100 - machine.throttle_percent());
        scheduler.wait(machine.guest_may_run, world.now() + pause, "the guest's next burst");
        guest_.burst(memory, dirty, [&] { return machine.guest_runs() && !guest_ends_; });
        if (std::exchange(guest_powers_off_soon, false)) {
            machine.guest_powers_off();
        }
    }
}

/// One of those who carry out the guest's requests, which a stop has to wait for.
void Node::run_queue(unsigned queue) {
    while (!guest_ends_) {
        if (!machine.guest_runs() || !disk_guest_->busy()) {
            world.scheduler().wait(machine.guest_may_run, forever, "the guest's next request to a disk");
            continue;
        }
        world.scheduler().wait(machine.guest_may_run, world.now() + disk_guest_->pause(), "the guest's next request");
        if (machine.guest_runs() && !guest_ends_) {
            machine.request_begins();
            disk_guest_->request(queue, disks);
            machine.request_ended();
        }
    }
}

void Node::wind_up() {
    guest_ends_ = true;
    world.scheduler().wake_all(machine.guest_may_run);
    world.scheduler().join(*guest_fiber_);
    for (Fiber* fiber : queue_fibers_) {
        world.scheduler().join(*fiber);
    }
    executor.stop_main_loop();
    executor.wait_for_main_loop();
}

}  // namespace godwit::sim
