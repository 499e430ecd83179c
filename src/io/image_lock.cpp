#include "io/image_lock.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "io/system_error.h"

namespace godwit {

namespace {

constexpr off_t used_byte = 100;
constexpr off_t not_shared_byte = 200;

constexpr unsigned consistent_read = 0;
constexpr unsigned write_permission = 1;
constexpr unsigned resize = 3;
constexpr unsigned permission_count = 4;

/// Sets of permissions, bit n for permission n.
struct Permissions {
    unsigned used = 0;
    unsigned not_shared = 0;
};

constexpr unsigned bit(unsigned permission) {
    return 1U << permission;
}

constexpr Permissions permissions_for(ImageUse use) {
    switch (use) {
        case ImageUse::write:
            return {bit(consistent_read) | bit(write_permission), bit(write_permission)};
        case ImageUse::read:
            return {bit(consistent_read), bit(write_permission)};
        case ImageUse::base:
            break;
    }
    return {bit(consistent_read), bit(write_permission) | bit(resize)};
}

struct LockByte {
    unsigned permission = 0;
    off_t position = 0;
};

/// The bytes of two sets of permissions that are counted from different positions.
std::vector<LockByte> bytes_of(unsigned first, off_t first_position, unsigned second, off_t second_position) {
    std::vector<LockByte> bytes;
    for (unsigned permission = 0; permission < permission_count; ++permission) {
        if ((first & bit(permission)) != 0) {
            bytes.push_back({permission, first_position + permission});
        }
        if ((second & bit(permission)) != 0) {
            bytes.push_back({permission, second_position + permission});
        }
    }
    return bytes;
}

struct flock one_byte(short type, off_t byte) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    return lock;
}

/// An errno value, or 0.
int set_lock(int fd, short type, off_t byte) {
    struct flock lock = one_byte(type, byte);
    int outcome = 0;
    do {
        outcome = ::fcntl(fd, F_OFD_SETLK, &lock);
    } while (outcome != 0 && errno == EINTR);
    return outcome == 0 ? 0 : errno;
}

bool means_unsupported(int error) {
    return error == ENOLCK || error == EINVAL || error == EOPNOTSUPP || error == ENOSYS;
}

}  // namespace

ImageLock::ImageLock(int fd, std::string path, ImageUse use, Log& log)
    : fd_(fd), path_(std::move(path)), use_(use), log_(log) {}

Status ImageLock::acquire() {
    const std::lock_guard lock(mutex_);
    if (held_) {
        return {};
    }
    Status locked = take().and_then([this] { return look_for_others(); });
    held_ = locked.has_value();
    if (!locked) {
        give_back();
    }
    return locked;
}

bool ImageLock::is_held() const {
    const std::lock_guard lock(mutex_);
    return held_;
}

Status ImageLock::take() {
    const Permissions wanted = permissions_for(use_);
    for (const LockByte byte : bytes_of(wanted.used, used_byte, wanted.not_shared, not_shared_byte)) {
        const int error = set_lock(fd_, F_RDLCK, byte.position);
        if (means_unsupported(error)) {
            log_.write(LogLevel::warning,
                       fmt::format("disk image {} cannot be locked ({}): nothing keeps another program from using it",
                                   path_, errno_text(error)));
            return {};
        }
        if (error == EAGAIN || error == EACCES) {
            return taken_by_another(byte.permission);
        }
        if (error != 0) {
            return fail_errno(ErrorCode::disk, fmt::format("cannot lock disk image {}", path_), error);
        }
    }
    return {};
}

Status ImageLock::look_for_others() {
    const Permissions wanted = permissions_for(use_);
    for (const LockByte byte : bytes_of(wanted.used, not_shared_byte, wanted.not_shared, used_byte)) {
        // Asks whether a write lock could be had: not if anybody else has a lock of any kind there.
        struct flock question = one_byte(F_WRLCK, byte.position);
        if (::fcntl(fd_, F_OFD_GETLK, &question) != 0) {
            if (means_unsupported(errno)) {
                return {};  // `take` has warned
            }
            return fail_errno(ErrorCode::disk, fmt::format("cannot examine the locks of disk image {}", path_), errno);
        }
        if (question.l_type != F_UNLCK) {
            return taken_by_another(byte.permission);
        }
    }
    return {};
}

tl::unexpected<Error> ImageLock::taken_by_another(unsigned permission) const {
    return fail(ErrorCode::disk,
                fmt::format("disk image {} is in use by another program: it cannot be shared for {}", path_,
                            permission == write_permission ? "writing"
                            : permission == resize         ? "changes of its size"
                                                           : "reading"),
                "end the program that uses it, a godwit or a QEMU (lslocks shows it), or use another image");
}

void ImageLock::release() {
    const std::lock_guard lock(mutex_);
    if (std::exchange(held_, false)) {
        give_back();
    }
}

void ImageLock::give_back() {
    const Permissions wanted = permissions_for(use_);
    for (const LockByte byte : bytes_of(wanted.used, used_byte, wanted.not_shared, not_shared_byte)) {
        // Can only fail where there was no lock to be had.
        set_lock(fd_, F_UNLCK, byte.position);
    }
}

}  // namespace godwit
