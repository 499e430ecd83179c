#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "godwit/error.h"
#include "io/file_descriptor.h"

namespace godwit {

/// A listening unix socket and its file, to which only its owner may connect. A file that a dead process of the same
/// user left behind is replaced; the own one is removed at the end, unless somebody else has put another in its place.
/// The file gets its name when somebody listens behind it; the kernel's lists show the one that it had before that,
/// "PATH." and six digits.
class UnixListener {
public:
    /// Errors: `invalid_argument` for a path that cannot be a socket's, `busy` when another process listens there,
    /// `io`.
    static Result<UnixListener> listen(const std::string& path);
    ~UnixListener() { close(); }
    UnixListener(UnixListener&& other) noexcept;
    UnixListener& operator=(UnixListener&& other) noexcept;

    /// Non-blocking.
    int fd() const { return fd_.get(); }
    const std::string& path() const { return path_; }
    /// Refuses connections from now on, and removes the file.
    void close();

private:
    UnixListener(FileDescriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
    Status bind_and_listen();
    /// Gives the file its name. An errno value, or 0; EADDRINUSE when the place is taken.
    int take_place(const std::string& temporary) const;

    FileDescriptor fd_;
    std::string path_;
    dev_t device_ = 0;
    /// 0 as long as no file has been made.
    ino_t inode_ = 0;
};

}  // namespace godwit
