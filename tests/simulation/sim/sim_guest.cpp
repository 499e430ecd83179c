#include "sim/sim_guest.h"

#include <algorithm>
#include <cstring>

namespace godwit::sim {

SimGuest::SimGuest(World& world, BufferPool& pool, const std::vector<BlockPlan>& blocks, const Workload& workload)
    : world_(world),
      random_(world.random().next()),
      workload_(workload),
      shadow_(world, pool, blocks, InitialContent::fresh, false),
      hot_start_(random_.below(shadow_.total_pages())) {}

void SimGuest::fill(SimMemory& memory) {
    for (std::size_t block = 0; block < shadow_.blocks().size(); ++block) {
        for (std::uint64_t page = 0; page < shadow_.pages(block); ++page) {
            if (!random_.percent(workload_.filled_percent)) {
                continue;
            }
            Target target;
            target.block = block;
            target.page = page;
            put(memory, target, 0, sizeof(std::uint64_t), random_.next() | 1);
            put(memory, target, page_bytes - sizeof(std::uint64_t), sizeof(std::uint64_t), random_.next());
        }
    }
}

SimGuest::Target SimGuest::choose() {
    const std::uint64_t total = shadow_.total_pages();
    const std::uint64_t span = workload_.hot_pages == 0 ? total : std::min(workload_.hot_pages, total);
    std::uint64_t number = (hot_start_ + random_.below(span)) % total;
    Target target;
    while (number >= shadow_.pages(target.block)) {
        number -= shadow_.pages(target.block++);
    }
    target.page = number;
    target.zero = random_.percent(workload_.zero_percent);
    target.repeat = random_.percent(workload_.repeat_percent);
    target.pieces = 1 + static_cast<unsigned>(random_.below(3));
    return target;
}

void SimGuest::write(SimMemory& memory, const Target& target, unsigned piece) {
    const std::uint64_t value = random_.next();
    if (target.repeat) {
        // The same bytes again: only the mark is new.
    } else if (target.zero) {
        put(memory, target, piece * (page_bytes / 4), page_bytes / 4, 0);
    } else {
        const std::size_t bytes = 8 * (1 + static_cast<std::size_t>(value % 4));
        const std::size_t last = page_bytes - bytes;
        // The ends of a page are where a lost or torn piece hides best.
        const std::size_t offset = value % 7 == 0 ? 0 : value % 7 == 1 ? last : (value >> 8) % (last / 8) * 8;
        // Some places swing between two values: a page becomes again what it was before.
        const bool swings = value % 5 == 0;
        put(memory, target, swings ? 0 : offset, bytes, swings ? 1 + (value >> 16) % 2 : value);
    }
    ++registers_.writes;
    registers_.checksum = registers_.checksum * 31 + static_cast<std::uint32_t>(value);
    registers_.ports[value % registers_.ports.size()] = static_cast<std::uint16_t>(value >> 16);
    registers_.scratch[value % registers_.scratch.size()] = static_cast<std::uint8_t>(value >> 32);
    registers_.halted = value % 3 == 0;
}

void SimGuest::put(SimMemory& memory, const Target& target, std::size_t offset, std::size_t bytes,
                   std::uint64_t value) {
    const std::size_t there = memory.find(shadow_.blocks()[target.block].id);
    for (std::byte* copy : {memory.page(there, target.page), shadow_.page(target.block, target.page)}) {
        for (std::size_t i = 0; i < bytes; i += sizeof value) {
            std::memcpy(copy + offset + i, &value, sizeof value);
        }
    }
}

}  // namespace godwit::sim
