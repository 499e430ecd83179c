#include "io/new_image.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "io/system_error.h"
#include "io/temporary_file.h"

namespace godwit {

namespace {

/// An errno value, or 0.
int fill(int fd, ByteCount size, std::span<const std::byte> beginning) {
    if (!beginning.empty()) {
        const ssize_t written = ::pwrite(fd, beginning.data(), beginning.size(), 0);
        if (written != static_cast<ssize_t>(beginning.size())) {
            return written < 0 ? errno : ENOSPC;
        }
    }
    return ::ftruncate(fd, static_cast<off_t>(size.value())) == 0 && ::fsync(fd) == 0 ? 0 : errno;
}

}  // namespace

Result<bool> make_image_if_absent(const std::string& path, ByteCount size, std::span<const std::byte> beginning,
                                  const std::optional<FileOwner>& owner) {
    auto file = TemporaryFile::create(path);
    if (!file) {
        return fail(ErrorCode::disk, file.error().message);
    }
    if (const int error = fill(file->fd(), size, beginning); error != 0) {
        return fail_errno(ErrorCode::disk, fmt::format("cannot make {} with {} bytes", path, size.value()), error);
    }
    // Before it has a name by which it could be opened.
    if (const int error = give_file(file->fd(), owner); error != 0) {
        return fail_errno(ErrorCode::disk, fmt::format("cannot give {} to another user", path), error);
    }
    const auto named = file->commit_if_absent();
    if (!named) {
        return fail(ErrorCode::disk, named.error().message);
    }
    if (*named && ::fsync(file->directory_fd()) != 0) {
        return fail_errno(ErrorCode::disk, fmt::format("cannot make the name of {} durable", path), errno);
    }
    return *named;
}

Result<bool> file_exists(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) {
        return true;
    }
    if (errno == ENOENT || errno == ENOTDIR) {
        return false;
    }
    return fail_errno(ErrorCode::disk, fmt::format("cannot find out whether there is a file {}", path), errno);
}

}  // namespace godwit
