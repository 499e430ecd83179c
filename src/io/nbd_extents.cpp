#include <libnbd.h>

#include <algorithm>
#include <limits>

#include "io/nbd_disk.h"

namespace godwit {

namespace {

constexpr std::uint32_t depth_of_no_layer = 0;
constexpr std::uint32_t depth_of_the_top = 1;

/// Walks through the entries of one context.
class EntryCursor {
public:
    using Entries = std::vector<std::pair<std::uint64_t, std::uint32_t>>;

    /// Where the server does not know the context, all of the disk has `otherwise`.
    EntryCursor(const Entries& entries, bool known, std::uint32_t otherwise, std::uint64_t start)
        : entries_(entries), known_(known), otherwise_(otherwise), end_(start) {
        next();
    }
    /// False past the last entry.
    bool valid() const { return !known_ || index_ <= entries_.size(); }
    std::uint32_t flags() const { return known_ ? entries_[index_ - 1].second : otherwise_; }
    std::uint64_t end() const { return known_ ? end_ : std::numeric_limits<std::uint64_t>::max(); }
    void pass(std::uint64_t position) {
        while (known_ && valid() && end_ <= position) {
            next();
        }
    }

private:
    void next() {
        ++index_;
        if (known_ && index_ <= entries_.size()) {
            // Lengths have 32 bits: such a sum cannot overflow.
            end_ += entries_[index_ - 1].first;
        }
    }

    const Entries& entries_;
    const bool known_;
    const std::uint32_t otherwise_;
    /// Of the entry after the present one.
    std::size_t index_ = 0;
    std::uint64_t end_;
};

void append(std::vector<DiskExtent>& extents, const DiskExtent& extent) {
    if (!extents.empty() && extents.back().content == extent.content &&
        extents.back().reads_as_zeros == extent.reads_as_zeros) {
        extents.back().end = extent.end;
    } else {
        extents.push_back(extent);
    }
}

/// Without its end.
DiskExtent extent_of(std::uint32_t allocation_flags, bool knows_allocation, std::uint32_t depth) {
    const bool zeros = (allocation_flags & LIBNBD_STATE_ZERO) != 0;
    if (depth == depth_of_the_top) {
        return {zeros ? DiskContent::zeros : DiskContent::data, {}};
    }
    // What no layer has reads as zeros, unless the server says otherwise.
    return {DiskContent::base, {}, zeros || (depth == depth_of_no_layer && !knows_allocation)};
}

}  // namespace

std::vector<DiskExtent> extents_from(const NbdStatusEntries& entries, const NbdExport& offer, DiskOffset offset,
                                     DiskOffset end) {
    EntryCursor allocation(entries.allocation, offer.knows_allocation, 0, offset.value());
    EntryCursor depth(entries.depth, offer.knows_depth, depth_of_the_top, offset.value());
    std::vector<DiskExtent> extents;
    std::uint64_t at = offset.value();
    for (;;) {
        allocation.pass(at);
        depth.pass(at);
        if (at >= end.value() || !allocation.valid() || !depth.valid()) {
            return extents;
        }
        DiskExtent extent = extent_of(allocation.flags(), offer.knows_allocation, depth.flags());
        const std::uint64_t entry_end = std::min({allocation.end(), depth.end(), end.value()});
        const std::uint64_t whole_end = entry_end / sector_bytes * sector_bytes;
        if (whole_end > at) {
            extent.end = DiskOffset(whole_end);
            append(extents, extent);
        }
        at = whole_end;
        if (whole_end != entry_end) {
            at += sector_bytes;
            append(extents, {DiskContent::data, DiskOffset(at)});
        }
    }
}

}  // namespace godwit
