#include "io/temporary_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

#include "io/system_error.h"

namespace godwit {

namespace {

constexpr mode_t private_mode = S_IRUSR | S_IWUSR;
constexpr mode_t permission_bits = 0777;
constexpr int max_name_attempts = 100;

std::string random_name(const std::string& name) {
    // Shortened, so that the result is a valid name if `name` is.
    constexpr std::size_t shown_bytes = 200;
    std::random_device source;
    return fmt::format(".{}.{:08x}.part", name.substr(0, shown_bytes), source());
}

}  // namespace

Result<TemporaryFile> TemporaryFile::create(const std::string& path, Kind kind) {
    std::error_code error;
    std::filesystem::path target(path);
    if (std::filesystem::exists(target, error)) {
        target = std::filesystem::canonical(target, error);
        if (error) {
            return fail(ErrorCode::io, fmt::format("cannot write '{}': {}", path, error.message()));
        }
    }
    if (!target.has_filename()) {
        return fail_errno(ErrorCode::io, fmt::format("cannot write '{}'", path), EISDIR);
    }
    const std::string directory = target.has_parent_path() ? target.parent_path().string() : ".";
    FileDescriptor directory_fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory_fd.valid()) {
        return fail_errno(ErrorCode::io, fmt::format("cannot write '{}': cannot open the directory", path), errno);
    }
    TemporaryFile file(std::move(directory_fd), target.filename().string());
    Status opened = kind == Kind::automatic ? file.open_unnamed() : file.open_named();
    if (!opened && kind == Kind::automatic) {
        opened = file.open_named();
    }
    if (!opened) {
        return fail(opened.error());
    }
    file.keep_mode_of_predecessor();
    return file;
}

TemporaryFile::TemporaryFile(TemporaryFile&& other) noexcept
    : directory_(std::move(other.directory_)),
      file_(std::move(other.file_)),
      name_(std::move(other.name_)),
      temporary_name_(std::exchange(other.temporary_name_, {})) {}

TemporaryFile::~TemporaryFile() {
    if (!temporary_name_.empty()) {
        ::unlinkat(directory_.get(), temporary_name_.c_str(), 0);
    }
}

Status TemporaryFile::open_unnamed() {
    file_.reset(::openat(directory_.get(), ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, private_mode));
    if (!file_.valid()) {
        return fail_errno(ErrorCode::io, fmt::format("cannot make '{}'", name_), errno);
    }
    return {};
}

Status TemporaryFile::open_named() {
    for (int attempt = 0;; ++attempt) {
        const std::string name = random_name(name_);
        file_.reset(::openat(directory_.get(), name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, private_mode));
        if (file_.valid()) {
            temporary_name_ = name;
            return {};
        }
        if (errno != EEXIST || attempt == max_name_attempts) {
            return fail_errno(ErrorCode::io, fmt::format("cannot make '{}'", name_), errno);
        }
    }
}

void TemporaryFile::keep_mode_of_predecessor() {
    struct stat predecessor {};
    if (::fstatat(directory_.get(), name_.c_str(), &predecessor, 0) == 0) {
        // If it cannot be kept, the file is private, which harms nobody.
        [[maybe_unused]] const int outcome = ::fchmod(file_.get(), predecessor.st_mode & permission_bits);
    }
}

Status TemporaryFile::commit() {
    // linkat(2) does not replace: so an unnamed file first gets a temporary name.
    const std::string self = fmt::format("/proc/self/fd/{}", file_.get());
    for (int attempt = 0; temporary_name_.empty(); ++attempt) {
        const std::string name = random_name(name_);
        if (::linkat(AT_FDCWD, self.c_str(), directory_.get(), name.c_str(), AT_SYMLINK_FOLLOW) == 0) {
            temporary_name_ = name;
        } else if (errno != EEXIST || attempt == max_name_attempts) {
            return fail_errno(ErrorCode::io, fmt::format("cannot give '{}' its name", name_), errno);
        }
    }
    if (::renameat(directory_.get(), temporary_name_.c_str(), directory_.get(), name_.c_str()) != 0) {
        return fail_errno(ErrorCode::io, fmt::format("cannot rename the temporary file to '{}'", name_), errno);
    }
    temporary_name_.clear();
    return {};
}

/// An errno value, or 0.
int TemporaryFile::link_if_absent() {
    if (temporary_name_.empty()) {
        const std::string self = fmt::format("/proc/self/fd/{}", file_.get());
        return ::linkat(AT_FDCWD, self.c_str(), directory_.get(), name_.c_str(), AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
    }
    if (::renameat2(directory_.get(), temporary_name_.c_str(), directory_.get(), name_.c_str(), RENAME_NOREPLACE) ==
        0) {
        temporary_name_.clear();
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return errno;
    }
    // NFS cannot rename in this way. The temporary name goes in the end, as always.
    return ::linkat(directory_.get(), temporary_name_.c_str(), directory_.get(), name_.c_str(), 0) == 0 ? 0 : errno;
}

Result<bool> TemporaryFile::commit_if_absent() {
    const int error = link_if_absent();
    if (error != 0 && error != EEXIST) {
        return fail_errno(ErrorCode::io, fmt::format("cannot give '{}' its name", name_), error);
    }
    return error == 0;
}

}  // namespace godwit
