#pragma once

#include <unistd.h>

#include <utility>

namespace godwit {

/// Owns a descriptor and closes it at the end. Negative means that there is none.
class FileDescriptor {
public:
    FileDescriptor() = default;
    explicit FileDescriptor(int fd) : fd_(fd) {}
    ~FileDescriptor() { reset(); }
    FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
    FileDescriptor& operator=(FileDescriptor&& other) noexcept {
        if (this != &other) {
            reset(other.release());
        }
        return *this;
    }
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;

    int get() const { return fd_; }
    bool valid() const { return fd_ >= 0; }
    /// Gives the descriptor to the caller.
    [[nodiscard]] int release() { return std::exchange(fd_, -1); }
    /// Closes the descriptor and takes another one.
    void reset(int fd = -1) {
        const int old = std::exchange(fd_, fd);
        if (old >= 0) {
            // Not repeated on EINTR: Linux has closed the descriptor even then.
            ::close(old);
        }
    }

private:
    int fd_ = -1;
};

}  // namespace godwit
