#include <algorithm>

#include "verdict.h"

namespace godwit::sim {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t progress_record = 8;
/// Of a chunk's record, without the disk's name.
constexpr std::uint64_t chunk_head = 8 + 1;
/// What each section has around its records, the end record included.
constexpr std::uint64_t section_frame = 32;
/// A section of the stream lasts so long, if there is more to be sent.
constexpr Duration section_time = milliseconds(50);
/// A limit is kept over any time, but for what may leave at once: the limiter's credit, and a record's end.
constexpr Duration burst_of_limit = milliseconds(40);
constexpr std::uint64_t overshoot_of_limit = 16'384;

}  // namespace

void Verdict::judge_disks() {
    judge_contents_of_disks();
    judge_locks_of_disks();
    judge_failures_of_disks();
    judge_rate_of_disks();
    for (Node* node : {&source_, &destination_}) {
        for (const std::unique_ptr<SimDisk>& disk : node->disks) {
            if (node->crashed() || disk->tracker.chunks() == 0) {
                continue;
            }
            disk->tracker.take(0);  // left over from the migration
            disk->tracker.written(DiskOffset(0), ByteCount(sector_bytes));
            if (disk->tracker.take(0)) {
                broken(fmt::format("writes to disk {} of {} are still tracked after the end", disk->plan().name,
                                   node->name));
            }
        }
    }
}

void Verdict::judge_contents_of_disks() {
    if (truth_is_split()) {
        return;
    }
    const DiskGuest& guest = *trial_.disk_guest_;
    if (source_.machine.may_run()) {
        if (const std::string difference = guest.difference(source_.disks); !difference.empty()) {
            broken("S keeps the guest, but its disks were changed: " + difference);
        }
    }
    const bool frozen_guest = destination_.machine.ownership_unknown() && !source_.machine.may_run() &&
                              !source_.machine.resumed_at() && !destination_.crashed();
    // A shared image is the source's until it lets go, and what it has in its cache is not seen elsewhere.
    if (destination_.machine.may_run() || (frozen_guest && plan_.moves_disks())) {
        if (const std::string difference = guest.difference(destination_.disks); !difference.empty()) {
            broken("D has the guest, but not its disks: " + difference);
        }
    }
    if (frozen_guest && plan_.moves_disks()) {
        if (const std::string lost = guest.durable_difference(destination_.disks); !lost.empty()) {
            broken("D may have the guest, but the end of its host would lose something: " + lost);
        }
    }
}

void Verdict::judge_locks_of_disks() {
    if (trial_.ownership_->copied) {
        return;
    }
    const auto count = [](const Node& node) {
        return std::count_if(node.disks.begin(), node.disks.end(), [](const auto& disk) { return disk->holds_lock(); });
    };
    const auto writable = [](const Node& node) {
        return std::count_if(node.disks.begin(), node.disks.end(),
                             [](const auto& disk) { return !disk->is_read_only(); });
    };
    for (const Node* node : {&source_, &destination_}) {
        if (node->machine.may_run() && count(*node) != writable(*node)) {
            broken(fmt::format("{} has the guest, but the locks of only {} of {} disks", node->name, count(*node),
                               writable(*node)));
        }
    }
    if (out_.state() == MigrationState::completed && count(source_) != 0) {
        broken("S completed, but still has locks of disks");
    }
    const bool let_go = !destination_.machine.was_started_after_load() && !destination_.machine.ownership_unknown() &&
                        destination_figures_ && in_.finished();
    if (let_go && count(destination_) != 0) {
        broken("D gave up, but still has locks of disks");
    }
}

/// What failed cannot have been handed over.
void Verdict::judge_failures_of_disks() {
    const auto failed = [](const Node& node) {
        return std::any_of(node.disks.begin(), node.disks.end(), [](const auto& disk) { return disk->failures() > 0; });
    };
    if (failed(source_) && (out_.state() == MigrationState::completed || out_.reached(HandoverStep::source_sent))) {
        broken(fmt::format("a disk failed at S, but the migration is {}", to_string(out_.state())));
    }
    if (failed(destination_) &&
        (destination_.machine.was_started_after_load() || in_.reached(HandoverStep::destination_received))) {
        broken(fmt::format("a disk failed at D, but the migration is {}", to_string(in_.state())));
    }
}

std::string Verdict::reason_of_disks() const {
    for (const Node* node : {&source_, &destination_}) {
        for (const std::unique_ptr<SimDisk>& disk : node->disks) {
            if (disk->failures() > 0) {
                const bool named = source_figures_ && source_figures_->error &&
                                   source_figures_->error->message.find(disk->plan().name) != std::string::npos;
                return named ? "disk" : "disk, by name";
            }
        }
    }
    return "";
}

std::pair<std::uint64_t, std::uint64_t> Verdict::bytes_of_disks() const {
    std::uint64_t data = 0;
    std::uint64_t records = 0;
    std::uint64_t heads = 0;
    for (const std::unique_ptr<SimDisk>& disk : destination_.disks) {
        data += disk->written_chunks() * DiskWriteTracker::chunk_bytes;
        records += disk->written_chunks() + disk->zeroed_chunks();
        heads += (disk->written_chunks() + disk->zeroed_chunks()) * (chunk_head + disk->plan().name.size());
    }
    if (!plan_.moves_disks()) {
        return {data, data};
    }
    const auto sections =
        static_cast<std::uint64_t>(source_figures_->total_time / section_time) + source_figures_->passes + 2 * records;
    return {data, data + heads + records * progress_record + (sections + 2) * section_frame};
}

void Verdict::judge_rate_of_disks() {
    const std::uint64_t limit = plan_.parameters.max_bandwidth_bytes_per_s;
    const bool changed = std::any_of(plan_.events.begin(), plan_.events.end(),
                                     [](const Event& event) { return event.action == Action::change_parameter; });
    if (!plan_.moves_disks() || limit == 0 || changed || !source_figures_ || !out_.finished()) {
        return;
    }
    const Duration since_setup =
        source_.machine.stopped_at().value_or(out_.finished_at()) + plan_.source.machine.stop_cost - out_.setup_at();
    const double seconds = std::chrono::duration<double>(since_setup + burst_of_limit).count();
    const double most = static_cast<double>(limit) * seconds + static_cast<double>(overshoot_of_limit);
    if (static_cast<double>(source_figures_->precopy_bytes) > most) {
        broken(fmt::format("{} bytes were sent in {} ms, with a limit of {} bytes a second",
                           source_figures_->precopy_bytes, in_ms(since_setup), limit));
    }
}

}  // namespace godwit::sim
