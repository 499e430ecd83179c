#include "block/loader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/printable.h"

namespace godwit {

namespace {

/// So much is written before its way to the medium begins, and so much before it is waited for: what is left for the
/// switchover, where the guest waits, is little, and a slow disk slows the source down instead of filling memory.
constexpr std::uint64_t bytes_until_begin_flush = std::uint64_t{16} << 20;
constexpr std::uint64_t bytes_until_flush = std::uint64_t{64} << 20;

std::uint64_t head_bytes(std::string_view disk) {
    return sizeof(std::uint64_t) + 1 + disk.size();
}

}  // namespace

DiskLoader::DiskLoader(std::span<const Disk> disks) {
    for (const Disk& disk : disks) {
        targets_.push_back({disk});
    }
}

Status DiskLoader::begin() {
    for (Target& target : targets_) {
        const Disk& disk = target.disk;
        if (target.is_locked || disk.device->is_read_only() || disk.device->size().value() == 0) {
            continue;
        }
        if (const Status locked = disk.device->lock(); !locked) {
            return fail(locked.error().code, fmt::format("disk \"{}\": {}", disk.name, locked.error().message),
                        locked.error().hint);
        }
        target.is_locked = true;
        total_bytes_ += disk.device->size().value();
    }
    return {};
}

Status DiskLoader::load_section(StreamReader& reader) {
    return decoder_.decode_section(reader, *this);
}

Status DiskLoader::flush() {
    for (Target& target : targets_) {
        if (Status flushed = flush(target); !flushed) {
            return flushed;
        }
    }
    return {};
}

void DiskLoader::unlock() {
    for (Target& target : targets_) {
        if (target.is_locked) {
            target.disk.device->unlock();
            target.is_locked = false;
        }
    }
}

Result<DiskLoader::Target*> DiskLoader::find(std::string_view name, DiskOffset offset) {
    const auto found =
        std::find_if(targets_.begin(), targets_.end(), [&](const Target& target) { return target.disk.name == name; });
    if (found == targets_.end()) {
        return fail(ErrorCode::disk_mismatch, fmt::format("there is no disk \"{}\" here", printable(name)),
                    "start this side with disks of the same names");
    }
    const Disk& disk = found->disk;
    if (offset.value() >= disk.device->size().value()) {
        return fail(ErrorCode::disk_mismatch,
                    fmt::format("disk \"{}\" has {} bytes here, and data for byte {} arrives", disk.name,
                                disk.device->size().value(), offset.value()),
                    "start this side with an image as large as the source's");
    }
    if (disk.device->is_read_only()) {
        return fail(ErrorCode::disk_mismatch, fmt::format("disk \"{}\" is read-only here", disk.name),
                    "start this side without readonly for it");
    }
    GODWIT_ASSERT(found->is_locked, "disk \"{}\" is written to without its lock", disk.name);
    return &*found;
}

ByteCount DiskLoader::length_of(const Target& target, DiskOffset offset) {
    return ByteCount(std::min(DiskWriteTracker::chunk_bytes, target.disk.device->size().value() - offset.value()));
}

Result<std::span<std::byte>> DiskLoader::chunk_target(std::string_view disk, DiskOffset offset) {
    if (const Result<Target*> target = find(disk, offset); !target) {
        return fail(target.error());
    }
    return buffer_.chunk();
}

Status DiskLoader::chunk_arrived(std::string_view disk, DiskOffset offset) {
    const Result<Target*> target = find(disk, offset);
    if (!target) {
        return fail(target.error());
    }
    const ByteCount length = length_of(**target, offset);
    if (const Status written = (*target)->disk.device->write(offset, buffer_.chunk().first(length.value())); !written) {
        return explain((*target)->disk, "written", offset, written.error());
    }
    ++data_chunks_;
    record_bytes_ += head_bytes(disk) + DiskWriteTracker::chunk_bytes;
    return wrote(**target, length);
}

Status DiskLoader::zero_chunk(std::string_view disk, DiskOffset offset) {
    const Result<Target*> target = find(disk, offset);
    if (!target) {
        return fail(target.error());
    }
    const ByteCount length = length_of(**target, offset);
    if (const Status zeroed = (*target)->disk.device->write_zeroes(offset, length); !zeroed) {
        return explain((*target)->disk, "zeroed", offset, zeroed.error());
    }
    ++zero_chunks_;
    record_bytes_ += head_bytes(disk);
    (*target)->unflushed_bytes += sector_bytes;  // something to flush, but no data that would have to be written
    return {};
}

Status DiskLoader::progress(unsigned) {
    return {};
}

Status DiskLoader::wrote(Target& target, ByteCount count) {
    target.unflushed_bytes += count.value();
    target.unbegun_bytes += count.value();
    if (target.unbegun_bytes >= bytes_until_begin_flush) {
        target.disk.device->begin_flush();
        target.unbegun_bytes = 0;
    }
    return target.unflushed_bytes >= bytes_until_flush ? flush(target) : Status();
}

Status DiskLoader::flush(Target& target) {
    if (target.unflushed_bytes == 0) {
        return {};
    }
    if (const Status flushed = target.disk.device->flush(); !flushed) {
        return fail(flushed.error().code,
                    fmt::format("disk \"{}\" cannot be flushed: {}", target.disk.name, flushed.error().message),
                    flushed.error().hint);
    }
    target.unflushed_bytes = target.unbegun_bytes = 0;
    return {};
}

Status DiskLoader::explain(const Disk& disk, const char* what, DiskOffset offset, const Error& error) {
    return fail(error.code,
                fmt::format("disk \"{}\" cannot be {} at byte {}: {}", disk.name, what, offset.value(), error.message),
                error.hint);
}

}  // namespace godwit
