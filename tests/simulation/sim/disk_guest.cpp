#include "sim/disk_guest.h"

#include <algorithm>

namespace godwit::sim {
namespace {

/// Requests of different queues stay out of each other's way: each has every n-th stretch of this length. Borders of
/// chunks lie in the middle of one.
constexpr std::uint64_t stretch_sectors = 64;
constexpr std::uint64_t first_border = stretch_sectors / 2;

}  // namespace

DiskGuest::DiskGuest(World& world, const DiskWorkload& workload, const std::vector<std::unique_ptr<SimDisk>>& disks)
    : world_(world), random_(world.random().next()), workload_(workload) {
    for (const std::unique_ptr<SimDisk>& disk : disks) {
        Truth truth;
        truth.read_only = disk->is_read_only();
        for (std::uint64_t i = 0; i < disk->plan().sectors; ++i) {
            truth.values.push_back(disk->value(i));
        }
        truth.being_written.resize(truth.values.size());
        any_writable_ = any_writable_ || (!truth.read_only && !truth.values.empty());
        truth_.push_back(std::move(truth));
    }
}

DiskGuest::Range DiskGuest::choose(unsigned queue, std::uint64_t sectors) {
    constexpr std::uint64_t chunk_sectors = DiskWriteTracker::chunk_bytes / sector_bytes;
    const std::uint64_t stretches = (sectors + first_border + stretch_sectors - 1) / stretch_sectors;
    std::uint64_t stretch = random_.below(stretches);
    if (random_.percent(30)) {  // around the border of a chunk, or the end
        stretch = random_.percent(50) ? stretches - 1 : random_.below(sectors / chunk_sectors + 1) * chunk_sectors / 64;
    }
    stretch = stretch - stretch % workload_.queues + queue;
    if (stretch >= stretches) {
        return {};
    }
    const std::uint64_t begin = stretch * stretch_sectors - std::min(first_border, stretch * stretch_sectors);
    const std::uint64_t end = std::min(stretch * stretch_sectors + first_border, sectors);
    Range range;
    range.first = begin + random_.below(end - begin);
    range.count = std::min(1 + random_.below(workload_.most_sectors), end - range.first);
    return range;
}

void DiskGuest::request(unsigned queue, const std::vector<std::unique_ptr<SimDisk>>& disks) {
    ++requests_;
    const std::size_t number = random_.below(disks.size());
    Truth& truth = truth_[number];
    if (truth.read_only || truth.values.empty()) {
        return;
    }
    if (random_.percent(workload_.flush_percent)) {
        static_cast<void>(disks[number]->guest_flush());  // a guest that is told of a failure expects nothing of it
        return;
    }
    if (const Range range = choose(queue, truth.values.size()); range.count > 0) {
        write(range, truth, *disks[number]);
    }
}

void DiskGuest::write(const Range& range, Truth& truth, SimDisk& disk) {
    const std::uint64_t value = random_.percent(workload_.zero_percent) ? 0 : next_value_;
    next_value_ += workload_.most_sectors;
    for (std::uint64_t i = 0; i < range.count; ++i) {
        truth.being_written[range.first + i] = 1;
    }
    const Status written = disk.guest_write(range.first, range.count, value);
    world_.scheduler().maybe_preempt();
    if (!workload_.forgets_marks) {
        disk.tracker.written(DiskOffset(range.first * sector_bytes), ByteCount(range.count * sector_bytes));
    }
    world_.scheduler().maybe_preempt();
    for (std::uint64_t i = 0; i < range.count; ++i) {
        const std::uint64_t sector = range.first + i;
        truth.values[sector] = !written ? disk.value(sector) : value == 0 ? 0 : value + i;
        truth.being_written[sector] = 0;
    }
}

template <typename Value>
std::string DiskGuest::compare(const std::vector<std::unique_ptr<SimDisk>>& disks, Value value) const {
    std::uint64_t wrong = 0;
    std::string first;
    for (std::size_t number = 0; number < disks.size(); ++number) {
        const Truth& truth = truth_[number];
        if (truth.read_only) {
            continue;
        }
        for (std::uint64_t i = 0; i < truth.values.size(); ++i) {
            if (truth.being_written[i] == 0 && value(*disks[number], i) != truth.values[i] && wrong++ == 0) {
                first = fmt::format("disk {} sector {}", disks[number]->plan().name, i);
            }
        }
    }
    return wrong == 0 ? "" : fmt::format("{} sectors differ, the first: {}", wrong, first);
}

std::string DiskGuest::difference(const std::vector<std::unique_ptr<SimDisk>>& disks) const {
    return compare(disks, [](const SimDisk& disk, std::uint64_t sector) { return disk.value(sector); });
}

std::string DiskGuest::durable_difference(const std::vector<std::unique_ptr<SimDisk>>& disks) const {
    return compare(disks, [](const SimDisk& disk, std::uint64_t sector) { return disk.durable_value(sector); });
}

}  // namespace godwit::sim
