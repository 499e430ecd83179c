#pragma once

#include <vector>

#include "sim/guest_registers.h"
#include "sim/sim_dirty_source.h"
#include "sim/sim_memory.h"

namespace godwit::sim {

/// What the guest does with its memory.
struct Workload {
    /// Pages out of 100 that hold something when the migration begins.
    unsigned filled_percent = 50;
    /// Pages that it writes to, from a random place on; 0: all.
    std::uint64_t hot_pages = 0;
    Duration pause = std::chrono::microseconds(500);
    unsigned pages_per_burst = 1;
    /// Writes that make the page zero.
    unsigned zero_percent = 10;
    /// Writes that leave a page as it was.
    unsigned repeat_percent = 0;
    /// After so many page writes it only idles: so every clean migration converges.
    std::uint64_t total_writes = 1000;
};

/// The one guest of a simulated world, wherever it runs. It keeps a shadow copy of everything that it wrote: the truth
/// with which memory is compared.
class SimGuest {
public:
    SimGuest(World& world, BufferPool& pool, const std::vector<BlockPlan>& blocks, const Workload& workload);

    /// Writes the initial content to both the memory and the shadow copy.
    void fill(SimMemory& memory);
    /// One burst of writes; ends at once when `may_run` turns false.
    template <typename MayRun>
    void burst(SimMemory& memory, SimDirtySource& dirty, MayRun may_run) {
        for (unsigned i = 0; i < workload_.pages_per_burst && registers_.writes < workload_.total_writes; ++i) {
            const Target target = choose();
            const unsigned pieces = target.zero ? 4 : target.pieces;
            for (unsigned piece = 0; piece < pieces; ++piece) {
                if (!may_run()) {
                    return;
                }
                dirty.mark(memory.find(shadow_.blocks()[target.block].id), target.page);
                write(memory, target, piece);
                world_.scheduler().maybe_preempt();
            }
        }
    }

    const SimMemory& shadow() const { return shadow_; }
    const GuestRegisters& registers() const { return registers_; }
    Duration pause() const { return workload_.pause; }
    bool busy() const { return registers_.writes < workload_.total_writes; }
    /// Lets it work again, after a migration.
    void allow_more_writes(std::uint64_t writes) { workload_.total_writes = registers_.writes + writes; }

private:
    struct Target {
        std::size_t block = 0;
        std::uint64_t page = 0;
        bool zero = false;
        bool repeat = false;
        unsigned pieces = 1;
    };
    Target choose();
    void write(SimMemory& memory, const Target& target, unsigned piece);
    void put(SimMemory& memory, const Target& target, std::size_t offset, std::size_t bytes, std::uint64_t value);

    World& world_;
    /// The guest's own generator: what it writes does not depend on the schedule's choices.
    Random random_;
    Workload workload_;
    SimMemory shadow_;
    GuestRegisters registers_;
    std::uint64_t hot_start_ = 0;
};

}  // namespace godwit::sim
