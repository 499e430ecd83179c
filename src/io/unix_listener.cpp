#include "io/unix_listener.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "io/system_error.h"

namespace godwit {

namespace {

constexpr int backlog = 64;

FileDescriptor make_socket() {
    return FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

/// Tells whether a socket file is a leftover of this user's: nobody listens behind it. One of somebody else's is left
/// alone whatever it is: it may be there to take a place.
bool is_stale(const sockaddr_un& address) {
    struct stat info {};
    if (::lstat(address.sun_path, &info) != 0 || !S_ISSOCK(info.st_mode) || info.st_uid != ::geteuid()) {
        return false;
    }
    const FileDescriptor probe = make_socket();
    return probe.valid() && ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
           errno == ECONNREFUSED;
}

}  // namespace

Result<UnixListener> UnixListener::listen(const std::string& path) {
    if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path) || path.find('\0') != std::string::npos) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("'{}' cannot be the path of a socket: it must have 1 to {} bytes", path,
                                sizeof(sockaddr_un::sun_path) - 1));
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
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    // The file that bind makes has this mode from its first moment: only its owner may connect.
    if (::fchmod(fd_.get(), S_IRUSR | S_IWUSR) != 0) {
        return fail_errno(ErrorCode::io, "cannot make a socket", errno);
    }
    const auto bind_here = [&] {
        return ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    };
    int outcome = bind_here();
    if (outcome != 0 && errno == EADDRINUSE) {
        if (!is_stale(address)) {
            return fail(ErrorCode::busy, fmt::format("{} is in use", path_),
                        "another process listens there, or the file is not a socket of yours: choose another path");
        }
        ::unlink(path_.c_str());
        outcome = bind_here();
    }
    if (outcome != 0) {
        return fail_errno(ErrorCode::io, fmt::format("cannot listen on {}", path_), errno);
    }
    struct stat info {};
    if (::lstat(path_.c_str(), &info) == 0) {
        device_ = info.st_dev;
        inode_ = info.st_ino;
    }
    if (::listen(fd_.get(), backlog) != 0) {
        return fail_errno(ErrorCode::io, fmt::format("cannot listen on {}", path_), errno);
    }
    return {};
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
    if (inode_ != 0 && ::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_) {
        ::unlink(path_.c_str());
    }
    inode_ = 0;
    fd_.reset();
}

}  // namespace godwit
