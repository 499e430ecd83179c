#include "io/raw_disk.h"

#include <fmt/format.h>

#include <utility>

#include "block/disk_range.h"
#include "io/thread_queue.h"
#include "io/uring_queue.h"

namespace godwit {

RawDisk::RawDisk(std::unique_ptr<DiskFile> file, Log& log)
    : file_(std::move(file)),
      log_(log),
      lock_(file_->fd(), file_->path(), file_->is_read_only() ? ImageUse::read : ImageUse::write, log) {}

Result<std::unique_ptr<RawDisk>> RawDisk::open(const std::string& path, DiskAccess access, Log& log) {
    auto file = DiskFile::open(path, access);
    if (!file) {
        return fail(file.error());
    }
    return std::unique_ptr<RawDisk>(new RawDisk(std::move(*file), log));
}

Status RawDisk::read(DiskOffset offset, std::span<std::byte> bytes) {
    assert_on_disk(offset, bytes.size(), size());
    return file_->read(offset, bytes);
}

Status RawDisk::write(DiskOffset offset, std::span<const std::byte> bytes) {
    assert_on_disk(offset, bytes.size(), size());
    return file_->write(offset, bytes);
}

Status RawDisk::write_zeroes(DiskOffset offset, ByteCount count) {
    assert_on_disk(offset, count.value(), size());
    return file_->write_zeroes(offset, count);
}

Status RawDisk::discard(DiskOffset offset, ByteCount count) {
    assert_on_disk(offset, count.value(), size());
    return file_->discard(offset, count);
}

Status RawDisk::lock() {
    if (lock_.is_held()) {
        return {};
    }
    Status locked = lock_.acquire();
    if (locked) {
        file_->drop_cached_pages();
    }
    return locked;
}

Result<std::unique_ptr<BlockQueue>> RawDisk::open_queue() {
    auto fast = UringQueue::create(*file_);
    if (fast) {
        return std::move(*fast);
    }
    log_.write(LogLevel::info,
               fmt::format("disk image {} is served by threads: {}", file_->path(), fast.error().text()));
    auto queue = ThreadQueue::create(*this);
    if (!queue) {
        return fail(queue.error());
    }
    return std::move(*queue);
}

}  // namespace godwit
