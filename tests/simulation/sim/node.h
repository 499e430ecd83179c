#pragma once

#include <memory>
#include <optional>
#include <string>

#include "godwit/migration.h"
#include "sim/observer.h"
#include "sim/sim_device.h"
#include "sim/sim_executor.h"
#include "sim/sim_opener.h"
#include "sim/sim_waiter.h"

namespace godwit::sim {

struct NodePlan {
    std::vector<BlockPlan> blocks;
    InitialContent content = InitialContent::fresh;
    bool knows_holes = true;
    std::string machine_type = "sim";
    MachinePlan machine;
    DevicePlan device;
    DirtyPlan dirty;
    std::vector<DiskPlan> disks;
};

/// One host with one machine: everything that the tested code is given, and the objects of the tested code.
class Node {
public:
    Node(World& world, Ownership& ownership, BufferPool& buffers, int id, std::string name, const NodePlan& plan,
         RunState state);
    ~Node();

    /// Gives it its disks, on these images, and lets the guest use them while it runs here. Once, before all else.
    void add_disks(const std::vector<DiskPlan>& plans, const std::vector<std::shared_ptr<DiskImage>>& images);
    void use_disks(DiskGuest& guest);

    // From the node's main loop:
    void create_outgoing(Observer* observer);
    void create_incoming(const MigrationParameters& parameters);
    /// Waits for calls from other threads to end, then destroys both migrations.
    void destroy_migrations();

    /// Calls the outgoing migration from any thread, unless it is gone.
    template <typename Call>
    void with_outgoing(Call call) {
        guarded(outgoing_.get(), call);
    }
    template <typename Call>
    void with_incoming(Call call) {
        guarded(incoming_.get(), call);
    }

    /// The process dies, or the whole host.
    void crash(CrashStyle style);
    bool crashed() const { return machine.dead(); }
    const std::string& machine_type() const { return machine_type_; }
    /// Lets what is left of a crashed node run to its end, without a connection: only so that nothing leaks.
    void let_it_end();

    /// The guest looks again at what it is allowed to do.
    void poke_guest() { world.scheduler().wake_all(machine.guest_may_run); }

    /// Nothing is made to fail any more.
    void heal() {
        machine.heal();
        dirty.heal();
        device.heal();
        for (const std::unique_ptr<SimDisk>& disk : disks) {
            disk->heal();
        }
    }

    /// Ends the guest and the main loop.
    void wind_up();

    World& world;
    const int id;
    const std::string name;
    NodeClock clock;
    SimWaiter waiter;
    SimExecutor executor;
    SimMemory memory;
    SimMachine machine;
    SimDirtySource dirty;
    SimDevice device;
    std::vector<std::unique_ptr<SimDisk>> disks;
    Observer outgoing_observer;
    Observer incoming_observer;
    /// The rendezvous at which the node's present link is made, and its end.
    std::shared_ptr<Rendezvous> place;
    int end = 0;
    bool guest_powers_off_soon = false;
    /// Results of `start` on either migration.
    std::optional<Status> outgoing_started;
    std::optional<Status> incoming_started;

private:
    class NodeLog : public Log {
    public:
        explicit NodeLog(World& world) : world_(world) {}
        void write(LogLevel level, std::string_view line) override;

    private:
        World& world_;
    };

    template <typename Object, typename Call>
    void guarded(Object* object, Call call) {
        if (object == nullptr || destroying_) {
            return;
        }
        ++callers_;
        call(*object);
        --callers_;
        world.scheduler().wake_all(callers_gone_);
    }
    Environment environment();
    void run_guest();
    void run_queue(unsigned queue);

    NodeLog log_;
    SimGuest& guest_;
    std::string machine_type_;
    std::unique_ptr<Migration> outgoing_;
    std::unique_ptr<IncomingMigration> incoming_;
    WaitQueue callers_gone_;
    int callers_ = 0;
    bool destroying_ = false;
    bool guest_ends_ = false;
    Fiber* guest_fiber_ = nullptr;
    DiskGuest* disk_guest_ = nullptr;
    std::vector<Fiber*> queue_fibers_;
};

}  // namespace godwit::sim
