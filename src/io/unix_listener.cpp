#include "io/unix_listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <utility>

#include "io/system_error.h"

namespace godwit {

namespace {

constexpr int backlog = 64;
constexpr int max_name_attempts = 100;
constexpr std::size_t max_path_bytes = sizeof(sockaddr_un::sun_path) - 1;
/// A dot and six digits.
constexpr std::size_t suffix_bytes = 7;

FileDescriptor make_socket() {
    return FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

bool is_file(const struct stat& info, dev_t device, ino_t inode) {
    return info.st_dev == device && info.st_ino == inode;
}

/// A leftover of this user's: a socket's file behind which nobody listens. One of somebody else's is left alone
/// whatever it is: it may be there to take a place.
std::optional<struct stat> find_stale(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode) || info.st_uid != ::geteuid()) {
        return std::nullopt;
    }
    const sockaddr_un address = address_of(path);
    const FileDescriptor probe = make_socket();
    const bool is_stale = probe.valid() &&
                          ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
                          errno == ECONNREFUSED;
    return is_stale ? std::optional(info) : std::nullopt;
}

/// In the same folder, if `path` leaves room for that.
std::string temporary_name(const std::string& path) {
    std::random_device source;
    constexpr std::uint32_t six_digits = 0xff'ffff;
    return fmt::format("{}.{:06x}", path.substr(0, max_path_bytes - suffix_bytes), source() & six_digits);
}

bool has_room(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos || slash < max_path_bytes - suffix_bytes;
}

/// An errno value, or 0. Nothing that stands there is replaced.
int rename_if_absent(const std::string& from, const std::string& to) {
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return errno;
    }
    // Not every file system can do that.
    if (::link(from.c_str(), to.c_str()) != 0) {
        return errno;
    }
    ::unlink(from.c_str());
    return 0;
}

/// Puts `from` in the place of the stale file. An errno value, or 0; EADDRINUSE where somebody else has come there
/// since that was looked at.
int replace_stale(const std::string& from, const std::string& to, const struct stat& stale) {
    const auto exchange = [&] { return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE); };
    if (exchange() != 0) {
        if (errno == ENOENT) {
            return rename_if_absent(from, to);
        }
        if (errno != EINVAL && errno != ENOSYS) {
            return errno;
        }
        // Such a file system leaves a moment in which a listener that has just come loses its file.
        return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
    }
    struct stat replaced {};
    if (::lstat(from.c_str(), &replaced) == 0 && !is_file(replaced, stale.st_dev, stale.st_ino)) {
        // Back it goes. Whoever connected meanwhile finds a listener that ends.
        exchange();
        return EADDRINUSE;
    }
    ::unlink(from.c_str());
    return 0;
}

}  // namespace

Result<UnixListener> UnixListener::listen(const std::string& path) {
    if (path.empty() || path.size() > max_path_bytes || path.find('\0') != std::string::npos) {
        return fail(
            ErrorCode::invalid_argument,
            fmt::format("'{}' cannot be the path of a socket: it must have 1 to {} bytes", path, max_path_bytes));
    }
    if (!has_room(path)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("'{}' cannot be the path of a socket: its folder's path must have at most {} bytes",
                                path, max_path_bytes - suffix_bytes));
    }
    FileDescriptor fd = make_socket();
    if (!fd.valid()) {
        return fail_errno(ErrorCode::io, "cannot make a socket", errno);
    }
    UnixListener listener(std::move(fd), path);
    if (auto status = listener.bind_and_listen(); !status) {
        return fail(status.error());
    }
    return listener;
}

Status UnixListener::bind_and_listen() {
    // The file that bind makes has this mode from its first moment: only its owner may connect.
    if (::fchmod(fd_.get(), S_IRUSR | S_IWUSR) != 0) {
        return fail_errno(ErrorCode::io, "cannot make a socket", errno);
    }
    // Under its own name it is never seen before it listens: it would be taken for one that was left behind.
    std::string temporary;
    int outcome = -1;
    for (int attempt = 0; outcome != 0 && attempt < max_name_attempts; ++attempt) {
        temporary = temporary_name(path_);
        const sockaddr_un address = address_of(temporary);
        outcome = ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
        if (outcome != 0 && errno != EADDRINUSE) {
            break;
        }
    }
    if (outcome != 0) {
        return fail_errno(ErrorCode::io, fmt::format("cannot listen on {}", path_), errno);
    }
    struct stat info {};
    const bool listens = ::lstat(temporary.c_str(), &info) == 0 && ::listen(fd_.get(), backlog) == 0;
    if (const int error = listens ? take_place(temporary) : errno; error != 0) {
        ::unlink(temporary.c_str());
        return error == EADDRINUSE
                   ? fail(ErrorCode::busy, fmt::format("{} is in use", path_),
                          "another process listens there, or the file is not a socket of yours: choose another path")
                   : fail_errno(ErrorCode::io, fmt::format("cannot listen on {}", path_), error);
    }
    device_ = info.st_dev;
    inode_ = info.st_ino;
    return {};
}

int UnixListener::take_place(const std::string& temporary) const {
    const int error = rename_if_absent(temporary, path_);
    if (error != EEXIST) {
        return error;
    }
    const auto stale = find_stale(path_);
    return stale ? replace_stale(temporary, path_, *stale) : EADDRINUSE;
}

UnixListener::UnixListener(UnixListener&& other) noexcept
    : fd_(std::move(other.fd_)),
      path_(std::move(other.path_)),
      device_(other.device_),
      inode_(std::exchange(other.inode_, 0)) {}

UnixListener& UnixListener::operator=(UnixListener&& other) noexcept {
    if (this != &other) {
        close();
        fd_ = std::move(other.fd_);
        path_ = std::move(other.path_);
        device_ = other.device_;
        inode_ = std::exchange(other.inode_, 0);
    }
    return *this;
}

void UnixListener::close() {
    struct stat info {};
    if (inode_ != 0 && ::lstat(path_.c_str(), &info) == 0 && is_file(info, device_, inode_)) {
        ::unlink(path_.c_str());
    }
    inode_ = 0;
    fd_.reset();
}

}  // namespace godwit
