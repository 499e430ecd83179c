#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "io/disk_file.h"
#include "io/system_error.h"

namespace godwit {

namespace {

/// Of the file's type: S_IFREG or S_IFBLK.
Result<mode_t> kind_of(int fd, const std::string& path) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) {
        return fail_errno(ErrorCode::disk, fmt::format("cannot examine disk image {}", path), errno);
    }
    if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode)) {
        return fail(ErrorCode::disk, fmt::format("disk image {} is neither a file nor a block device", path),
                    "name a raw image file or a block device");
    }
    return info.st_mode & S_IFMT;
}

Result<ByteCount> size_of(int fd, const std::string& path) {
    // For block devices too.
    const off_t end = ::lseek(fd, 0, SEEK_END);
    if (end < 0) {
        return fail_errno(ErrorCode::disk, fmt::format("cannot find out the size of disk image {}", path), errno);
    }
    const auto size = static_cast<std::uint64_t>(end);
    if (size % sector_bytes != 0) {
        return fail(ErrorCode::disk,
                    fmt::format("disk image {} has {} bytes, which is no multiple of {}", path, size, sector_bytes),
                    fmt::format("bring it to whole sectors: truncate -s {} {}",
                                (size / sector_bytes + 1) * sector_bytes, path));
    }
    return ByteCount(size);
}

/// Otherwise a write to a regular file would end the program with SIGXFSZ.
Status check_limit(ByteCount size, const std::string& path) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < size.value()) {
        return fail(ErrorCode::disk,
                    fmt::format("disk image {} has {} bytes, but this process may write files up to {} bytes only",
                                path, size.value(), limit.rlim_cur),
                    "raise the limit on file sizes (ulimit -f)");
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<DiskFile>> DiskFile::open(const std::string& path, DiskAccess access) {
    const int mode = access == DiskAccess::read_only ? O_RDONLY : O_RDWR;
    // Not blocking: a FIFO must end in a message, not in waiting for its other end.
    FileDescriptor file(::open(path.c_str(), mode | O_CLOEXEC | O_NONBLOCK));
    if (!file.valid()) {
        return fail_errno(ErrorCode::disk, fmt::format("cannot open disk image {}", path), errno,
                          errno == EROFS || errno == EACCES ? "make it writable, or open the disk with 'readonly'"
                          : errno == ENOENT ? "correct the path, or make the image first (truncate -s SIZE FILE)"
                                            : "");
    }
    const auto kind = kind_of(file.get(), path);
    if (!kind) {
        return fail(kind.error());
    }
    // io_uring would answer EAGAIN for such a file instead of waiting.
    if (::fcntl(file.get(), F_SETFL, 0) != 0) {
        return fail_errno(ErrorCode::disk, fmt::format("cannot prepare disk image {}", path), errno);
    }
    const auto size = size_of(file.get(), path);
    if (!size) {
        return fail(size.error());
    }
    if (access == DiskAccess::read_write && S_ISREG(*kind)) {
        if (const Status allowed = check_limit(*size, path); !allowed) {
            return fail(allowed.error());
        }
    }
    return std::unique_ptr<DiskFile>(new DiskFile(std::move(file), path, access, *size));
}

}  // namespace godwit
