#include <algorithm>

#include "plan_parts.h"

namespace godwit::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::uint64_t chunk_sectors = DiskWriteTracker::chunk_bytes / sector_bytes;
/// Enough for a chunk to be sent in a moment.
constexpr std::uint64_t least_link_bytes_per_s = 20'000'000;
constexpr std::uint64_t least_limit_bytes_per_s = 10'000'000;
constexpr std::size_t least_capacity_bytes = 128 * 1024;
constexpr Duration longest_latency = milliseconds(2);
/// Calls to disks that follow one another where somebody waits for their end: a flush and the dirty chunks at the
/// source, their writes and a flush at the destination.
constexpr int calls_in_a_row = 24;

/// Few have many chunks, as each costs a run a lot of time; most end within one.
std::uint64_t random_sectors(Random& random) {
    const std::uint64_t chunks = random.percent(40) ? 0 : random.percent(60) ? 1 : 2;
    return chunks * chunk_sectors + (random.percent(15) ? chunk_sectors : 1 + random.below(chunk_sectors - 1));
}

void choose_contents(Plan& plan, Random& random) {
    DiskContents& contents = plan.disk_contents;
    contents.data_percent = static_cast<unsigned>(random.below(101));
    contents.garbage = random.percent(50);
    plan.parameters.block = plan.moves_disks();
    plan.parameters.block_incremental = plan.moves_disks() && random.percent(30);
    plan.parameters.zero_blocks = random.percent(50);
    if (plan.parameters.block_incremental || random.percent(20)) {
        contents.base_percent = static_cast<unsigned>(random.between(30, 100));
        contents.base_seed = random.percent(80) ? random.next() | 1 : 0;
    }
}

void choose_requests(Plan& plan, Random& random) {
    DiskWorkload& load = plan.disk_workload;
    load.pause = random_time(random, microseconds(200), milliseconds(8));
    load.flush_percent = static_cast<unsigned>(random.below(40));
    load.zero_percent = random.percent(50) ? 0 : static_cast<unsigned>(random.below(40));
    load.most_sectors = random.spread(1, 32);
    load.queues = static_cast<unsigned>(random.between(1, 2));
    load.total_requests = random.percent(10) ? 0 : random.spread(8, 100);
}

/// Large holes that a busy guest writes to: what the disk has said about a hole is soon not true any more.
void choose_thin_disk(Plan& plan, Random& random) {
    for (NodePlan* node : {&plan.source, &plan.destination}) {
        node->disks[0].sectors = 3 * chunk_sectors;
    }
    plan.source.disks[0].call_time = random_time(random, milliseconds(2), milliseconds(10));
    plan.disk_contents.data_percent = static_cast<unsigned>(random.below(20));
    plan.connect_time = microseconds(100);
    for (PipeProperties& pipe : plan.link.pipes) {
        pipe.latency = std::min<Duration>(pipe.latency, microseconds(100));
    }
    plan.disk_workload.pause = random_time(random, microseconds(100), microseconds(800));
    plan.disk_workload.queues = 2;
    plan.disk_workload.total_requests = random.between(1, 10);  // soon over: a later write would make up for a lost one
}

/// A chunk takes longer than a source may be silent, and the whole still no more than half a minute.
void choose_lowest_limit(Plan& plan, Random& random) {
    plan.parameters.max_bandwidth_bytes_per_s = random.between(120'000, 190'000);
    plan.source.blocks = {BlockPlan{"sim.ram0", random.between(1, 8)}};
    plan.destination.blocks = plan.source.blocks;
    for (NodePlan* node : {&plan.source, &plan.destination}) {
        node->disks.resize(1);
        node->disks[0].sectors = std::min(node->disks[0].sectors, chunk_sectors);
    }
    plan.disk_workload.total_requests = std::min<std::uint64_t>(plan.disk_workload.total_requests, 5);
}

std::string describe(const DiskFault& fault) {
    return fmt::format("{} {} fails{}", to_string(fault.call), fault.first, fault.always ? " and all later ones" : "");
}

}  // namespace

void add_disks(Plan& plan, Random& random, DiskUse use) {
    if (use == DiskUse::shared && !plan.link.bidirectional) {
        return;  // a copy of the guest needs disks of its own
    }
    plan.disk_use = use;
    const std::uint64_t count = random.percent(70) ? 1 : 2;
    for (std::uint64_t i = 0; i < count; ++i) {
        DiskPlan disk;
        disk.name = fmt::format("disk{}", i);
        disk.sectors = random_sectors(random);
        disk.call_time = random_time(random, microseconds(2), milliseconds(2));
        plan.source.disks.push_back(disk);
    }
    if (random.percent(10)) {
        plan.source.disks.push_back(DiskPlan{.name = "cd", .sectors = 8, .read_only = true});
    }
    if (random.percent(5)) {
        plan.source.disks.push_back(DiskPlan{.name = "empty"});
    }
    plan.destination.disks = plan.source.disks;
    for (DiskPlan& disk : plan.destination.disks) {
        disk.call_time = random_time(random, microseconds(2), milliseconds(2));
    }
    choose_contents(plan, random);
    choose_requests(plan, random);
    if (!plan.moves_disks()) {
        return;
    }
    PipeProperties& pipe = plan.link.pipes[0];
    pipe.bytes_per_s = std::max(pipe.bytes_per_s, least_link_bytes_per_s);
    pipe.capacity_bytes = std::max(pipe.capacity_bytes, least_capacity_bytes);
    pipe.latency = std::min(pipe.latency, longest_latency);
    plan.connect_time = std::min(plan.connect_time, longest_latency);  // else the guest is done before it begins
    for (MigrationParameters* parameters : {&plan.parameters, &plan.destination_parameters}) {
        std::uint64_t& limit = parameters->max_bandwidth_bytes_per_s;
        limit = limit == 0 ? 0 : std::max(limit, least_limit_bytes_per_s);
    }
    if (const std::uint64_t kind = random.below(100); kind < 3) {
        choose_lowest_limit(plan, random);
    } else if (kind < 20) {
        choose_thin_disk(plan, random);
    }
}

void slow_first_flush(Plan& plan, Random& random) {
    for (NodePlan* node : {&plan.source, &plan.destination}) {
        if (!node->disks.empty() && !plan.again && random.percent(10)) {
            const bool is_source = node == &plan.source;
            if (!is_source && plan.parameters.block_incremental) {
                continue;  // nothing may come before the switchover: then the first flush would be there
            }
            node->disks[0].first_flush_time =
                random_time(random, milliseconds(100), milliseconds(is_source ? 30'000 : 20'000));
        }
    }
}

void choose_disks(Plan& plan, Random& random) {
    const std::uint64_t chance = random.below(100);
    if (plan.pairing == Pairing::godwit_to_godwit && chance < 20) {
        add_disks(plan, random, chance < 12 ? DiskUse::moved : DiskUse::shared);
    }
}

void add_disk_failure(Plan& plan, Random& random) {
    const std::size_t number = random.below(random.percent(20) ? plan.source.disks.size() : 1);
    DiskPlan& here = plan.source.disks[number];
    DiskPlan& there = plan.destination.disks[number];
    const bool always = random.percent(50);
    const auto once = [&](DiskCall call, unsigned latest) {
        return DiskFault{call, static_cast<unsigned>(random.between(1, latest)), always};
    };
    const auto slow_call = [&] { return random_time(random, milliseconds(10), milliseconds(150)); };
    switch (random.below(plan.moves_disks() ? 10 : 5)) {
        case 0:
            here.call_time = slow_call();
            break;
        case 1:
            here.fault = once(DiskCall::write, 8);
            break;
        case 2:
        case 3:
        case 4:
            here.fault = once(DiskCall::flush, 6);
            break;
        case 5:
            here.fault = once(DiskCall::read, 3);
            break;
        case 6:
            there.fault = once(DiskCall::write, 3);
            break;
        case 7:
            there.fault = once(DiskCall::flush, 3);
            break;
        case 8:
            there.call_time = slow_call();
            break;
        default:
            switch (random.below(4)) {
                case 0:
                    there.name += "x";
                    break;
                case 1:
                    // Without a manifest nobody can tell the padding of the last chunk from data.
                    if (plan.godwit_handover()) {
                        there.sectors = random.percent(50) && there.sectors > 1 ? there.sectors - 1 : there.sectors + 1;
                    }
                    break;
                case 2:
                    // Nor does anything have to come for a disk of which only an increment moves.
                    there.read_only = there.read_only || plan.godwit_handover();
                    break;
                default:
                    there.fault = DiskFault{DiskCall::lock, 1, true};
                    break;
            }
    }
}

bool Plan::disks_differ() const {
    for (std::size_t i = 0; moves_disks() && i < source.disks.size(); ++i) {
        const DiskPlan& here = source.disks[i];
        const DiskPlan& there = destination.disks[i];
        if (!here.read_only && here.sectors > 0 &&
            (here.name != there.name || here.sectors != there.sectors || there.read_only)) {
            return true;
        }
    }
    return false;
}

Duration Plan::slack() const {
    Duration slowest{};
    for (const NodePlan* node : {&source, &destination}) {
        for (const DiskPlan& disk : node->disks) {
            slowest = std::max(slowest, disk.call_time);
        }
    }
    return 2 * calls_in_a_row * slowest + (standstill ? standstill->time : Duration{});
}

std::string Plan::describe_disks() const {
    std::string text;
    if (disk_use != DiskUse::none) {
        text += fmt::format(", {}{}:", to_string(disk_use), parameters.block_incremental ? " (increments)" : "");
    }
    for (std::size_t i = 0; i < source.disks.size(); ++i) {
        const DiskPlan& here = source.disks[i];
        const DiskPlan& there = destination.disks[i];
        text += fmt::format(" {} of {} sectors", here.name, here.sectors);
        if (here.fault.first != 0) {
            text += fmt::format(" (at the source {})", sim::describe(here.fault));
        }
        if (there.fault.first != 0) {
            text += fmt::format(" (at the destination {})", sim::describe(there.fault));
        }
        if (there.name != here.name || there.sectors != here.sectors || there.read_only != here.read_only) {
            text += fmt::format(" (at the destination {}{} of {} sectors)", there.read_only ? "read-only " : "",
                                there.name, there.sectors);
        }
    }
    return text;
}

}  // namespace godwit::sim
