#include "tools/disk_census.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace godwit {

DiskCensus::Counts& DiskCensus::Counts::operator+=(const Counts& other) {
    data += other.data;
    zero += other.zero;
    return *this;
}

std::string DiskCensus::Counts::text() const {
    return fmt::format("{} whole chunks of {} bytes, {} zero chunks", data, DiskWriteTracker::chunk_bytes, zero);
}

DiskCensus::Counts DiskCensus::take_recent() {
    return std::exchange(recent_, Counts{});
}

Status DiskCensus::count(std::string_view disk, DiskOffset offset, const Counts& counts) {
    auto found = std::find_if(disks_.begin(), disks_.end(), [&](const Disk& known) { return known.name == disk; });
    if (found == disks_.end()) {
        if (disks_.size() == max_disks) {
            return fail(ErrorCode::stream_corrupt, fmt::format("more than {} disks", max_disks));
        }
        found = disks_.insert(found, Disk{std::string(disk), {}, {}});
    }
    found->counts += counts;
    found->end = std::max(found->end, offset + DiskOffset(DiskWriteTracker::chunk_bytes));
    recent_ += counts;
    return {};
}

Result<std::span<std::byte>> DiskCensus::chunk_target(std::string_view disk, DiskOffset offset) {
    if (next_ != nullptr) {
        return next_->chunk_target(disk, offset);
    }
    scratch_.resize(DiskWriteTracker::chunk_bytes);
    return std::span(scratch_);
}

Status DiskCensus::chunk_arrived(std::string_view disk, DiskOffset offset) {
    Status counted = count(disk, offset, {.data = 1});
    return counted && next_ != nullptr ? next_->chunk_arrived(disk, offset) : counted;
}

Status DiskCensus::zero_chunk(std::string_view disk, DiskOffset offset) {
    Status counted = count(disk, offset, {.zero = 1});
    return counted && next_ != nullptr ? next_->zero_chunk(disk, offset) : counted;
}

Status DiskCensus::progress(unsigned percent) {
    progress_percent_ = percent;
    return next_ != nullptr ? next_->progress(percent) : Status();
}

}  // namespace godwit
