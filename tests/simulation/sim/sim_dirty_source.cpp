#include "sim/sim_dirty_source.h"

#include <bit>
#include <utility>

namespace godwit::sim {

SimDirtySource::SimDirtySource(World& world, const SimMemory& memory, const DirtyPlan& plan)
    : world_(world), plan_(plan) {
    for (std::size_t block = 0; block < memory.blocks().size(); ++block) {
        pages_.push_back(memory.pages(block));
        marks_.emplace_back((memory.pages(block) + 63) / 64);
    }
}

Status SimDirtySource::start() {
    world_.scheduler().maybe_preempt();
    if (tracking_) {
        world_.violation("DirtySource::start while tracking");
    }
    if (++starts_ == plan_.failing_start) {
        return fail(ErrorCode::dirty_tracking, "simulated: tracking cannot start");
    }
    for (std::size_t block = 0; block < marks_.size(); ++block) {
        for (std::size_t word = 0; word < marks_[block].size(); ++word) {
            const std::uint64_t left = pages_[block] - word * 64;
            const std::uint64_t all = left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
            marks_[block][word] = plan_.all_set_at_start ? all : 0;
            if (plan_.all_set_at_start && plan_.clears_in_collect) {
                new_marks_ += static_cast<std::uint64_t>(std::popcount(all));
            }
        }
    }
    tracking_ = true;
    thread_ = nullptr;
    world_.trace("dirty tracking starts");
    return {};
}

void SimDirtySource::stop() {
    world_.scheduler().maybe_preempt();
    if (tracking_) {
        world_.trace("dirty tracking stops");
    }
    tracking_ = false;
}

void SimDirtySource::expect_migration_thread(const char* what) {
    const Fiber* self = world_.scheduler().running();
    if (thread_ == nullptr) {
        thread_ = self;
    }
    if (thread_ != self) {
        world_.violation(fmt::format("DirtySource::{} from {} and from {}", what, thread_->name, self->name));
    }
    if (!tracking_) {
        world_.violation(fmt::format("DirtySource::{} while not tracking", what));
    }
}

Status SimDirtySource::collect(std::size_t block, std::span<std::uint64_t> bitmap) {
    expect_migration_thread("collect");
    if (world_.scheduler().running()->machine_locks == 0) {
        world_.violation("DirtySource::collect without the machine lock");
    }
    if (block >= marks_.size() || bitmap.size() < marks_[block].size()) {
        world_.violation(fmt::format("DirtySource::collect of block {} with {} words", block, bitmap.size()));
        return fail(ErrorCode::dirty_tracking, "collect: bad arguments");
    }
    if (++collects_ == plan_.failing_collect) {
        return fail(ErrorCode::dirty_tracking, "simulated: marks cannot be collected");
    }
    for (std::size_t word = 0; word < marks_[block].size(); ++word) {
        bitmap[word] |= marks_[block][word];
        if (plan_.clears_in_collect) {
            marks_[block][word] = 0;
        }
        world_.scheduler().maybe_preempt();
    }
    return {};
}

Status SimDirtySource::clear(std::size_t block, PageNumber first, std::span<const std::uint64_t> bits) {
    expect_migration_thread("clear");
    if (block >= marks_.size() || first.value() % 64 != 0 || first.value() / 64 + bits.size() > marks_[block].size()) {
        world_.violation(
            fmt::format("DirtySource::clear block {} page {} words {}", block, first.value(), bits.size()));
        return fail(ErrorCode::dirty_tracking, "clear: bad arguments");
    }
    if (++clears_ == plan_.failing_clear) {
        return fail(ErrorCode::dirty_tracking, "simulated: marks cannot be cleared");
    }
    if (!plan_.clears_in_collect) {
        for (std::size_t word = 0; word < bits.size(); ++word) {
            marks_[block][static_cast<std::size_t>(first.value() / 64) + word] &= ~bits[word];
        }
    }
    world_.scheduler().maybe_preempt();
    return {};
}

}  // namespace godwit::sim
