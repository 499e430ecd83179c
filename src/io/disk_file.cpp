#include "io/disk_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "io/system_error.h"

namespace godwit {

namespace {

constexpr std::array<std::byte, zero_buffer_bytes> zeros{};
/// The largest logical block of a block device, and what file systems have at most.
constexpr std::uint64_t coarsest_alignment = 4096;

/// Whether all who may write to the file do so through this host's page cache. Of a block device (it may be a part of a
/// storage network) and of file systems that we do not know this is not known.
bool is_of_this_host(int fd) {
    struct stat info {};
    struct statfs place {};
    if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || ::fstatfs(fd, &place) != 0) {
        return false;
    }
    switch (static_cast<std::uint32_t>(place.f_type)) {
        case EXT4_SUPER_MAGIC:
        case XFS_SUPER_MAGIC:
        case BTRFS_SUPER_MAGIC:
        case TMPFS_MAGIC:
        case RAMFS_MAGIC:
            return true;
        default:
            return false;
    }
}

ZeroMethod next_after(ZeroMethod method) {
    return method == ZeroMethod::punch ? ZeroMethod::zero_range : ZeroMethod::write;
}

off_t position(DiskOffset offset) {
    return static_cast<off_t>(offset.value());
}

std::string hint_for(int error) {
    return error == ENOSPC || error == EDQUOT ? "make room on the file system that holds the image" : std::string{};
}

/// An errno value, or 0.
int call_fallocate(int fd, int mode, DiskOffset offset, ByteCount count) {
    int outcome = 0;
    do {
        outcome = ::fallocate(fd, mode, position(offset), static_cast<off_t>(count.value()));
    } while (outcome != 0 && errno == EINTR);
    return outcome == 0 ? 0 : errno;
}

}  // namespace

std::span<const std::byte> zero_buffer() {
    return zeros;
}

bool refuses_fallocate(int error) {
    return error == EOPNOTSUPP || error == ENOSYS || error == ENODEV || error == EINVAL;
}

int fallocate_mode(ZeroMethod method) {
    return (method == ZeroMethod::punch ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE) | FALLOC_FL_KEEP_SIZE;
}

tl::unexpected<Error> DiskFile::failure(std::string_view what, DiskOffset offset, std::uint64_t count,
                                        int error) const {
    return fail_errno(ErrorCode::disk,
                      fmt::format("cannot {} {} bytes at {} of disk image {}", what, count, offset.value(), path_),
                      error, hint_for(error));
}

Status DiskFile::read(DiskOffset offset, std::span<std::byte> bytes) const {
    for (std::size_t done = 0; done < bytes.size();) {
        const DiskOffset at = offset + DiskOffset(done);
        const ssize_t count = ::pread(file_.get(), bytes.data() + done, bytes.size() - done, position(at));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return failure("read", at, bytes.size() - done, errno);
        }
        if (count == 0) {
            return fail(ErrorCode::disk, fmt::format("disk image {} has become smaller: it ends before {}", path_,
                                                     offset.value() + bytes.size()));
        }
        done += static_cast<std::size_t>(count);
    }
    return {};
}

Status DiskFile::write(DiskOffset offset, std::span<const std::byte> bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
        const DiskOffset at = offset + DiskOffset(done);
        const ssize_t count = ::pwrite(file_.get(), bytes.data() + done, bytes.size() - done, position(at));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return failure("write", at, bytes.size() - done, count < 0 ? errno : ENOSPC);
        }
        done += static_cast<std::size_t>(count);
    }
    return {};
}

Status DiskFile::write_zero_bytes(DiskOffset offset, ByteCount count) {
    for (std::uint64_t done = 0; done < count.value();) {
        const std::uint64_t part = std::min<std::uint64_t>(zeros.size(), count.value() - done);
        if (Status written = write(offset + DiskOffset(done), std::span(zeros).first(part)); !written) {
            return written;
        }
        done += part;
    }
    return {};
}

void DiskFile::refuse(ZeroMethod method) {
    // Another thread may have found out the same, or more.
    zero_method_.compare_exchange_strong(method, next_after(method));
}

ZeroMethod DiskFile::after_refusal(ZeroMethod method, int error, DiskOffset offset, ByteCount count) {
    const bool may_be_misaligned =
        error == EINVAL && (offset.value() % coarsest_alignment != 0 || count.value() % coarsest_alignment != 0);
    if (!may_be_misaligned) {
        refuse(method);
    }
    return std::max(next_after(method), zero_method_.load());
}

Status DiskFile::write_zeroes(DiskOffset offset, ByteCount count) {
    if (count.value() == 0) {
        return {};
    }
    for (ZeroMethod method = zero_method_; method != ZeroMethod::write;) {
        const int error = call_fallocate(file_.get(), fallocate_mode(method), offset, count);
        if (error == 0) {
            return {};
        }
        if (!refuses_fallocate(error)) {
            return failure("zero", offset, count.value(), error);
        }
        method = after_refusal(method, error, offset, count);
    }
    return write_zero_bytes(offset, count);
}

Status DiskFile::discard(DiskOffset offset, ByteCount count) {
    if (count.value() == 0 || zero_method_ != ZeroMethod::punch) {
        return {};
    }
    const int error = call_fallocate(file_.get(), fallocate_mode(ZeroMethod::punch), offset, count);
    if (error == 0 || refuses_fallocate(error)) {
        return {};
    }
    return failure("discard", offset, count.value(), error);
}

void DiskFile::note_flush_error(int error) {
    int none = 0;
    flush_error_.compare_exchange_strong(none, error);
}

Status DiskFile::flush_state() const {
    const int error = flush_error_;
    if (error == 0) {
        return {};
    }
    return fail_errno(ErrorCode::disk, fmt::format("cannot flush disk image {}", path_), error,
                      "what was written before may be lost: check the storage, and the image before it is used again");
}

Status DiskFile::flush() {
    if (is_read_only()) {
        return {};
    }
    if (flush_error_ == 0) {
        int outcome = 0;
        do {
            outcome = ::fdatasync(file_.get());
        } while (outcome != 0 && errno == EINTR);
        if (outcome != 0) {
            note_flush_error(errno);
        }
    }
    return flush_state();
}

void DiskFile::begin_flush() {
    // It only saves time: an error shows in the flush itself.
    ::sync_file_range(file_.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
}

void DiskFile::drop_cached_pages() {
    if (!is_of_this_host(file_.get())) {
        // Advice: there is nothing to be done where it is not taken.
        ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_DONTNEED);
    }
}

Result<DiskExtent> DiskFile::extent_at(DiskOffset offset) const {
    const DiskExtent rest_is_data{DiskContent::data, DiskOffset(size_.value())};
    // These calls move the file position, which nobody uses: so threads do not disturb each other.
    const off_t data = ::lseek(file_.get(), position(offset), SEEK_DATA);
    if (data < 0) {
        // ENXIO: no data up to the end. Anything else: the file system cannot tell.
        return errno == ENXIO ? DiskExtent{DiskContent::zeros, DiskOffset(size_.value())} : rest_is_data;
    }
    // What looks like half a sector on a strange file system counts as data.
    const std::uint64_t data_start = static_cast<std::uint64_t>(data) / sector_bytes * sector_bytes;
    if (data_start > offset.value()) {
        return DiskExtent{DiskContent::zeros, DiskOffset(std::min(data_start, size_.value()))};
    }
    const off_t hole = ::lseek(file_.get(), position(offset), SEEK_HOLE);
    if (hole <= position(offset)) {
        // An error, or a hole has been made just now.
        return rest_is_data;
    }
    const std::uint64_t data_end = (static_cast<std::uint64_t>(hole) + sector_bytes - 1) / sector_bytes * sector_bytes;
    return DiskExtent{DiskContent::data, DiskOffset(std::min(data_end, size_.value()))};
}

}  // namespace godwit
