#pragma once

#include <cstdint>
#include <vector>

#include "godwit/dirty_source.h"
#include "sim/sim_memory.h"

namespace godwit::sim {

struct DirtyPlan {
    /// Marks go when they are collected; otherwise when `clear` is called, as with KVM's manual clear.
    bool clears_in_collect = false;
    /// Every page is marked when tracking starts.
    bool all_set_at_start = false;
    /// A broken tracker that marks nothing: memory must arrive wrong, and somebody must notice.
    bool forgets_marks = false;
    /// Which call fails; 0: none. Counted from 1.
    unsigned failing_start = 0;
    unsigned failing_collect = 0;
    unsigned failing_clear = 0;
};

/// Marks pages at the moment of the write, like a write-protection fault.
class SimDirtySource : public DirtySource {
public:
    SimDirtySource(World& world, const SimMemory& memory, const DirtyPlan& plan);

    Status start() override;
    void stop() override;
    Status collect(std::size_t block, std::span<std::uint64_t> bitmap) override;
    Status clear(std::size_t block, PageNumber first, std::span<const std::uint64_t> bits) override;

    /// The guest writes to a page in this same step.
    void mark(std::size_t block, std::uint64_t page) {
        if (tracking_ && !plan_.forgets_marks) {
            const std::uint64_t bit = std::uint64_t{1} << (page % 64);
            new_marks_ += std::uint64_t{(marks_[block][page / 64] & bit) == 0};
            marks_[block][page / 64] |= bit;
        }
    }
    void heal() { plan_.failing_start = plan_.failing_collect = plan_.failing_clear = 0; }
    bool tracking() const { return tracking_; }
    unsigned starts() const { return starts_; }
    /// Blocks collected so far.
    unsigned collects() const { return collects_; }
    /// Marks that a collection will report beyond those with which a migration begins anyway: of the guest's writes,
    /// each as often as the page was not marked already.
    std::uint64_t new_marks() const { return new_marks_; }

private:
    void expect_migration_thread(const char* what);

    World& world_;
    DirtyPlan plan_;
    std::vector<std::vector<std::uint64_t>> marks_;
    std::vector<std::uint64_t> pages_;
    const Fiber* thread_ = nullptr;
    bool tracking_ = false;
    unsigned starts_ = 0;
    unsigned collects_ = 0;
    unsigned clears_ = 0;
    std::uint64_t new_marks_ = 0;
};

}  // namespace godwit::sim
