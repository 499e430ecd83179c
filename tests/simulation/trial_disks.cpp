// The disks of a trial's nodes.
#include "trial.h"

namespace godwit::sim {
namespace {

/// Chunks of data and chunks of zeros, some partly, and what is below.
void fill(DiskImage& image, const DiskContents& contents, Random& random) {
    constexpr std::uint64_t chunk_sectors = DiskWriteTracker::chunk_bytes / sector_bytes;
    std::vector<Sector>& medium = image.medium;
    for (std::uint64_t begin = 0; begin < medium.size(); begin += chunk_sectors) {
        const std::uint64_t end = std::min(begin + chunk_sectors, medium.size());
        const DiskContent rest = random.percent(contents.base_percent) ? DiskContent::base : DiskContent::zeros;
        const bool has_data = random.percent(contents.data_percent);
        const std::uint64_t data_begin = random.percent(50) ? begin : random.between(begin, end - 1);
        const std::uint64_t data_end = random.percent(50) ? end : random.between(data_begin, end);
        const std::uint64_t value = random.next() | 1;
        for (std::uint64_t i = begin; i < end; ++i) {
            const bool data = has_data && i >= data_begin && i < data_end;
            medium[i] = data ? Sector{value + 2 * i, 0, DiskContent::data} : Sector{0, 0, rest};
        }
    }
}

void fill_garbage(DiskImage& image, Random& random) {
    for (Sector& sector : image.medium) {
        sector = Sector{random.next() | 1, 0, DiskContent::data};
    }
}

}  // namespace

void Trial::make_disks() {
    Random random(plan_.seed * 0x2545f4914f6cdd1dULL + 7);
    const DiskContents& contents = plan_.disk_contents;
    std::vector<std::shared_ptr<DiskImage>> here;
    std::vector<std::shared_ptr<DiskImage>> there;
    for (std::size_t i = 0; i < plan_.source.disks.size(); ++i) {
        here.push_back(std::make_shared<DiskImage>(plan_.source.disks[i].sectors, contents.base_seed));
        fill(*here.back(), contents, random);
        if (!plan_.moves_disks()) {
            there.push_back(here.back());
            continue;
        }
        const bool increment = plan_.parameters.block_incremental;
        there.push_back(
            std::make_shared<DiskImage>(plan_.destination.disks[i].sectors, increment ? contents.base_seed : 0));
        if (increment) {
            const DiskContents nothing{.data_percent = 0, .base_percent = 100};
            fill(*there.back(), nothing, random);
        } else if (contents.garbage) {
            fill_garbage(*there.back(), random);
        }
    }
    source_->add_disks(plan_.source.disks, here);
    destination_->add_disks(plan_.destination.disks, there);
    disk_guest_ = std::make_unique<DiskGuest>(*world_, plan_.disk_workload, source_->disks);
    source_->use_disks(*disk_guest_);
    destination_->use_disks(*disk_guest_);
}

/// The third node's images are empty, or the ones that all share.
void Trial::add_third_disks(const Node& owner) {
    std::vector<DiskPlan> plans = plan_.source.disks;
    std::vector<std::shared_ptr<DiskImage>> images;
    for (std::size_t i = 0; i < plans.size(); ++i) {
        plans[i].fault = DiskFault{};
        plans[i].name = owner.disks[i]->plan().name;
        plans[i].read_only = owner.disks[i]->is_read_only();
        images.push_back(plan_.moves_disks() ? std::make_shared<DiskImage>(plans[i].sectors, 0)
                                             : owner.disks[i]->image());
    }
    third_->add_disks(plans, images);
    third_->use_disks(*disk_guest_);
    disk_guest_->allow_more(10);
}

void Trial::see_disks() {
    std::uint64_t chunks = 0;
    std::uint64_t written = 0;
    for (const std::unique_ptr<SimDisk>& disk : destination_->disks) {
        chunks += disk->is_read_only() ? 0 : disk->tracker.chunks();
        written += disk->written_chunks() + disk->zeroed_chunks();
        seen_.zero_chunks = seen_.zero_chunks || disk->zeroed_chunks() > 0;
        seen_.disk_failure = seen_.disk_failure || disk->failures() > 0;
    }
    for (const std::unique_ptr<SimDisk>& disk : source_->disks) {
        seen_.disk_failure = seen_.disk_failure || disk->failures() > 0;
    }
    const bool moved = plan_.moves_disks() && source_->outgoing_observer.state() == MigrationState::completed;
    seen_.chunks_again = moved && written > chunks;
    seen_.chunks_left_out = moved && written < chunks;
    seen_.drained_requests = source_->machine.waited_for_requests();
}

}  // namespace godwit::sim
