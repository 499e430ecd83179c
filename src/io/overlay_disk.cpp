#include "io/overlay_disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "block/disk_range.h"
#include "io/thread_queue.h"

namespace godwit {

namespace {

constexpr std::uint64_t cluster_bytes = AllocationBitmap::cluster_bytes;

std::uint64_t cluster_at(DiskOffset offset) {
    return offset.value() / cluster_bytes;
}

DiskOffset start_of(std::uint64_t cluster) {
    return DiskOffset(cluster * cluster_bytes);
}

}  // namespace

OverlayDisk::OverlayDisk(std::unique_ptr<DiskFile> top, std::unique_ptr<DiskFile> base,
                         std::unique_ptr<AllocationBitmap> bitmap, Log& log)
    : top_(std::move(top)),
      base_(std::move(base)),
      bitmap_(std::move(bitmap)),
      log_(log),
      top_lock_(top_->fd(), top_->path(), top_->is_read_only() ? ImageUse::read : ImageUse::write, log),
      base_lock_(base_->fd(), base_->path(), ImageUse::base, log) {}

OverlayDisk::~OverlayDisk() {
    const std::lock_guard lock(flush_mutex_);
    flush_changes();
}

DiskOffset OverlayDisk::cluster_end(std::uint64_t cluster) const {
    return DiskOffset(std::min((cluster + 1) * cluster_bytes, size().value()));
}

OverlayDisk::Run OverlayDisk::run_at(DiskOffset offset, DiskOffset end) const {
    const std::uint64_t first = cluster_at(offset);
    const std::uint64_t past_last = (end.value() + cluster_bytes - 1) / cluster_bytes;
    // Clusters only ever become allocated, and each is looked at once: so every part of an unallocated run was not
    // allocated at some moment of this call.
    const bool allocated = bitmap_->is_allocated(first);
    const std::uint64_t run_end = bitmap_->find(!allocated, first + 1, past_last);
    return {offset, std::min(end, start_of(run_end)), allocated};
}

Status OverlayDisk::read_base(DiskOffset offset, std::span<std::byte> bytes) const {
    const std::uint64_t left = base_->size().value() - std::min(base_->size().value(), offset.value());
    const std::span<std::byte> present = bytes.first(std::min<std::uint64_t>(bytes.size(), left));
    const std::span<std::byte> beyond = bytes.subspan(present.size());
    std::fill(beyond.begin(), beyond.end(), std::byte{0});
    return present.empty() ? Status{} : base_->read(offset, present);
}

Status OverlayDisk::read(DiskOffset offset, std::span<std::byte> bytes) {
    assert_on_disk(offset, bytes.size(), size());
    const DiskOffset end = offset + DiskOffset(bytes.size());
    for (DiskOffset at = offset; at < end;) {
        const Run run = run_at(at, end);
        const std::span<std::byte> part = bytes.subspan((at - offset).value(), run.bytes());
        if (Status got = run.allocated ? top_->read(at, part) : read_base(at, part); !got) {
            return got;
        }
        at = run.end;
    }
    return {};
}

template <typename InTop, typename Fresh>
Status OverlayDisk::change(DiskOffset offset, ByteCount count, InTop in_top, Fresh fresh) {
    assert_on_disk(offset, count.value(), size());
    const DiskOffset end = offset + DiskOffset(count.value());
    for (DiskOffset at = offset; at < end;) {
        Run run = run_at(at, end);
        Status done;
        if (run.allocated) {
            done = in_top(run);
        } else {
            const std::lock_guard lock(allocation_mutex_);
            // Another thread may have been faster.
            run = run_at(at, end);
            done = run.allocated ? in_top(run) : fresh(run);
        }
        if (!done) {
            return done;
        }
        at = run.end;
    }
    return {};
}

Status OverlayDisk::write(DiskOffset offset, std::span<const std::byte> bytes) {
    const auto part_of = [&](const Run& run) { return bytes.subspan((run.start - offset).value(), run.bytes()); };
    return change(
        offset, ByteCount(bytes.size()), [&](const Run& run) { return top_->write(run.start, part_of(run)); },
        [&](const Run& run) { return write_fresh(run, part_of(run)); });
}

Status OverlayDisk::write_zeroes(DiskOffset offset, ByteCount count) {
    return change(
        offset, count, [&](const Run& run) { return top_->write_zeroes(run.start, ByteCount(run.bytes())); },
        [&](const Run& run) { return zero_fresh(run); });
}

Status OverlayDisk::discard(DiskOffset offset, ByteCount count) {
    return change(
        offset, count, [&](const Run& run) { return top_->discard(run.start, ByteCount(run.bytes())); },
        [&](const Run& run) {
            // Parts of clusters stay as they are: to copy up the rest of them would cost more than it brings.
            Run whole{DiskOffset((run.start.value() + cluster_bytes - 1) / cluster_bytes * cluster_bytes), run.end,
                      false};
            if (run.end != DiskOffset(size().value())) {
                whole.end = start_of(cluster_at(run.end));
            }
            return whole.start < whole.end ? zero_fresh(whole) : Status{};
        });
}

Status OverlayDisk::fill_cluster(std::uint64_t cluster, DiskOffset start, std::span<const std::byte> bytes) {
    std::vector<std::byte> content((cluster_end(cluster) - start_of(cluster)).value());
    if (Status got = read_base(start_of(cluster), content); !got) {
        return got;
    }
    std::copy(bytes.begin(), bytes.end(),
              content.begin() + static_cast<std::ptrdiff_t>((start - start_of(cluster)).value()));
    return top_->write(start_of(cluster), content);
}

template <typename Whole, typename Part>
Status OverlayDisk::fill(const Run& run, Whole whole, Part part) {
    for (DiskOffset at = run.start; at < run.end;) {
        const std::uint64_t cluster = cluster_at(at);
        const bool whole_from_here = at == start_of(cluster) && run.end >= cluster_end(cluster);
        DiskOffset end = std::min(run.end, cluster_end(cluster));
        if (whole_from_here) {
            end = run.end == DiskOffset(size().value()) ? run.end : start_of(cluster_at(run.end));
        }
        const ByteCount count((end - at).value());
        if (Status done = whole_from_here ? whole(at, count) : part(cluster, at, count); !done) {
            return done;
        }
        at = end;
    }
    // Last: until now the clusters are the base's, whatever happens.
    const std::uint64_t first = cluster_at(run.start);
    return bitmap_->allocate(first, cluster_at(run.end - DiskOffset(1)) - first + 1);
}

Status OverlayDisk::write_fresh(const Run& run, std::span<const std::byte> bytes) {
    const auto piece = [&](DiskOffset at, ByteCount count) {
        return bytes.subspan((at - run.start).value(), count.value());
    };
    return fill(
        run, [&](DiskOffset at, ByteCount count) { return top_->write(at, piece(at, count)); },
        [&](std::uint64_t cluster, DiskOffset at, ByteCount count) {
            return fill_cluster(cluster, at, piece(at, count));
        });
}

Status OverlayDisk::zero_fresh(const Run& run) {
    static_assert(zero_buffer_bytes >= cluster_bytes);
    return fill(
        run,
        // The top may hold what was written there before a loss of power, or by an allocation that failed.
        [&](DiskOffset at, ByteCount count) { return top_->write_zeroes(at, count); },
        [&](std::uint64_t cluster, DiskOffset at, ByteCount count) {
            return fill_cluster(cluster, at, zero_buffer().first(count.value()));
        });
}

void OverlayDisk::flush_changes() {
    if (bitmap_->has_changes()) {
        if (const Status flushed = flush_layers(); !flushed) {
            log_.write(LogLevel::error, flushed.error().text());
        }
    }
}

Status OverlayDisk::flush() {
    const std::lock_guard lock(flush_mutex_);
    return flush_layers();
}

Status OverlayDisk::flush_layers() {
    if (top_->is_read_only()) {
        return {};
    }
    const AllocationBitmap::Changes changes = bitmap_->take_changes();
    Status flushed = top_->flush();
    if (flushed) {
        flushed = bitmap_->commit(changes);
    }
    if (!flushed) {
        bitmap_->put_back(changes);
    }
    return flushed;
}

Result<DiskExtent> OverlayDisk::base_extent_at(DiskOffset offset, DiskOffset end) const {
    const DiskOffset base_end(base_->size().value());
    if (offset >= base_end) {
        return DiskExtent{DiskContent::base, end, true};
    }
    auto found = base_->extent_at(offset);
    if (!found) {
        return found;
    }
    const bool zeros = found->content == DiskContent::zeros;
    // Past its end it reads as zeros as well.
    const DiskOffset found_end = zeros && found->end == base_end ? end : std::min(found->end, end);
    return DiskExtent{DiskContent::base, found_end, zeros};
}

Result<DiskExtent> OverlayDisk::extent_at(DiskOffset offset) {
    const Run run = run_at(offset, DiskOffset(size().value()));
    if (!run.allocated) {
        return base_extent_at(offset, run.end);
    }
    auto extent = top_->extent_at(offset);
    if (extent) {
        extent->end = std::min(extent->end, run.end);
    }
    return extent;
}

Result<std::unique_ptr<BlockQueue>> OverlayDisk::open_queue() {
    auto queue = ThreadQueue::create(*this);
    if (!queue) {
        return fail(queue.error());
    }
    return std::move(*queue);
}

Status OverlayDisk::lock() {
    const std::scoped_lock lock(flush_mutex_, allocation_mutex_);
    if (is_locked_) {
        return {};
    }
    Status locked = top_lock_.acquire().and_then([this] { return base_lock_.acquire(); }).and_then([this] {
        top_->drop_cached_pages();
        return bitmap_->lock();
    });
    is_locked_ = locked.has_value();
    if (!locked) {
        give_back_locks();
    }
    return locked;
}

void OverlayDisk::unlock() {
    const std::scoped_lock lock(flush_mutex_, allocation_mutex_);
    if (is_locked_) {
        // The next owner may be another host, where the recent map does not count.
        flush_changes();
        give_back_locks();
        is_locked_ = false;
    }
}

void OverlayDisk::give_back_locks() {
    bitmap_->unlock();
    base_lock_.release();
    top_lock_.release();
}

}  // namespace godwit
