#include "block/saver.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "ram/zero_page.h"
#include "stream/format.h"

namespace godwit {

namespace {

constexpr std::uint64_t chunk_bytes = DiskWriteTracker::chunk_bytes;
/// Chunks that one call looks at, at most: those that queue little or nothing are quickly done.
constexpr int max_chunks_per_call = 256;

bool is_moved(const Disk& disk) {
    return !disk.device->is_read_only() && disk.device->size().value() > 0;
}

bool is_zero(std::span<const std::byte> chunk) {
    for (std::size_t at = 0; at < chunk.size(); at += page_bytes) {
        if (!is_zero_page(chunk.data() + at)) {
            return false;
        }
    }
    return true;
}

std::uint64_t chunk_length(const Disk& disk, DiskOffset offset) {
    return std::min(chunk_bytes, disk.device->size().value() - offset.value());
}

}  // namespace

DiskSaver::DiskSaver(std::span<const Disk> disks) {
    std::copy_if(disks.begin(), disks.end(), std::back_inserter(disks_), is_moved);
    for (const Disk& disk : disks_) {
        GODWIT_ASSERT(!disk.name.empty() && disk.name.size() <= 255 && disk.device->size().value() % sector_bytes == 0,
                      "disk \"{}\" of {} bytes: a disk has whole sectors and a name of 1 to 255 bytes", disk.name,
                      disk.device->size().value());
        total_bytes_ += disk.device->size().value();
    }
}

Status DiskSaver::start(const Options& options) {
    options_ = options;
    for (const Disk& disk : disks_) {
        if (disk.tracker == nullptr) {
            return fail(ErrorCode::unsupported,
                        fmt::format("the writes of disk \"{}\" cannot be tracked, so it cannot be moved", disk.name));
        }
    }
    for (const Disk& disk : disks_) {
        disk.tracker->start();
    }
    return {};
}

void DiskSaver::stop() {
    for (const Disk& disk : disks_) {
        if (disk.tracker != nullptr) {
            disk.tracker->stop();
        }
    }
}

void DiskSaver::begin_pass() {
    GODWIT_ASSERT(pass_done(), "a pass over the disks begins within another, at disk {}", disk_);
    in_bulk_ = false;
    disk_ = 0;
    chunk_ = 0;
}

std::uint64_t DiskSaver::remaining_bytes() const {
    std::uint64_t bytes = total_bytes_ - bulk_done_bytes_;
    for (const Disk& disk : disks_) {
        bytes += disk.tracker != nullptr ? disk.tracker->marked() * chunk_bytes : 0;
    }
    // What was written ahead of the bulk pass counts in both.
    return std::min(bytes, total_bytes_);
}

Result<ByteCount> DiskSaver::send(StreamWriter& writer, ByteCount budget) {
    ByteCount queued;
    for (int looked_at = 0; looked_at < max_chunks_per_call && queued < budget && !pass_done(); ++looked_at) {
        if (unsent_.empty() && find_next()) {
            const Result<ByteCount> head = begin_chunk(writer);
            if (!head) {
                return head;
            }
            queued += *head;
        }
        if (!unsent_.empty()) {
            const std::uint64_t room = std::max<std::uint64_t>(1, budget.value() - std::min(budget, queued).value());
            const auto piece = unsent_.first(std::min<std::uint64_t>(unsent_.size(), room));
            writer.put_reference(piece);
            unsent_ = unsent_.subspan(piece.size());
            queued += ByteCount(piece.size());
            if (unsent_.empty() && in_bulk_) {
                queued += put_progress(writer);
            }
            break;  // the next chunk needs the buffer
        }
    }
    sent_bytes_ += queued.value();
    return queued;
}

bool DiskSaver::find_next() {
    while (disk_ < disks_.size()) {
        const std::uint64_t end = disks_[disk_].tracker->chunks();
        chunk_ = in_bulk_ ? chunk_ : disks_[disk_].tracker->next_marked(chunk_);
        if (chunk_ < end) {
            return true;
        }
        ++disk_;
        chunk_ = 0;
        extent_.reset();
    }
    return false;
}

Result<ByteCount> DiskSaver::begin_chunk(StreamWriter& writer) {
    const Disk& disk = disks_[disk_];
    const ByteCount length(chunk_length(disk, offset()));
    const bool written = disk.tracker->take(chunk_);
    DiskContent content = DiskContent::data;
    if (in_bulk_ && !written) {  // of what has been written since, nothing is known that is not asked anew
        const Result<DiskContent> found = content_of(length);
        if (!found) {
            return fail(found.error());
        }
        content = *found;
    }
    ByteCount queued;
    if (content == DiskContent::base && options_.incremental) {
        // The destination has it.
    } else if (content == DiskContent::zeros && options_.zero_chunks) {
        queued = put_head(writer, format::disk_flag::chunk | format::disk_flag::zero);
        ++zero_chunks_;
    } else if (const Status read = read_chunk(length); !read) {
        return fail(read.error());
    } else if (options_.zero_chunks && is_zero(unsent_)) {
        unsent_ = {};
        queued = put_head(writer, format::disk_flag::chunk | format::disk_flag::zero);
        ++zero_chunks_;
    } else {
        queued = put_head(writer, format::disk_flag::chunk);
        ++data_chunks_;
    }
    if (in_bulk_) {
        bulk_done_bytes_ += length.value();
        if (unsent_.empty()) {
            queued += put_progress(writer);
        }
    }
    ++chunk_;
    return queued;
}

Result<DiskContent> DiskSaver::content_of(ByteCount length) {
    const std::uint64_t end = offset().value() + length.value();
    std::optional<DiskContent> content;
    for (std::uint64_t at = offset().value(); at < end; at = extent_->end.value()) {
        if (!extent_ || extent_->end.value() <= at) {
            const Result<DiskExtent> found = disks_[disk_].device->extent_at(DiskOffset(at));
            if (!found) {
                return fail(found.error().code,
                            fmt::format("disk \"{}\", byte {}: {}", disks_[disk_].name, at, found.error().message),
                            found.error().hint);
            }
            GODWIT_ASSERT(found->end.value() > at, "an extent of disk \"{}\" at {} ends at {}", disks_[disk_].name, at,
                          found->end.value());
            extent_ = *found;
        }
        // All of it is wanted: then zeros are zeros, wherever they lie.
        const bool zeros = extent_->content == DiskContent::base && extent_->reads_as_zeros && !options_.incremental;
        const DiskContent kind = zeros ? DiskContent::zeros : extent_->content;
        if (content.value_or(kind) != kind || kind == DiskContent::data) {
            return DiskContent::data;
        }
        content = kind;
    }
    return content.value_or(DiskContent::data);
}

Status DiskSaver::read_chunk(ByteCount length) {
    const std::span<std::byte> chunk = buffer_.chunk();
    const Disk& disk = disks_[disk_];
    if (const Status read = disk.device->read(offset(), chunk.first(length.value())); !read) {
        return fail(
            read.error().code,
            fmt::format("disk \"{}\" cannot be read at byte {}: {}", disk.name, offset().value(), read.error().message),
            read.error().hint);
    }
    std::fill(chunk.begin() + static_cast<std::ptrdiff_t>(length.value()), chunk.end(), std::byte{0});
    unsent_ = chunk;
    return {};
}

/// Only when it has changed.
ByteCount DiskSaver::put_progress(StreamWriter& writer) {
    const std::uint64_t percent = bulk_done_bytes_.load() / ((total_bytes_ + 99) / 100);
    if (percent_ == percent) {
        return ByteCount(0);
    }
    percent_ = percent;
    writer.put_u64(percent << format::disk_flag::progress_shift | format::disk_flag::progress);
    return ByteCount(sizeof(std::uint64_t));
}

ByteCount DiskSaver::put_head(StreamWriter& writer, std::uint64_t flags) {
    writer.put_u64(offset().value() | flags);
    writer.put_string8(disks_[disk_].name);
    return ByteCount(sizeof(std::uint64_t) + 1 + disks_[disk_].name.size());
}

}  // namespace godwit
