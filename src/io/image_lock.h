#pragma once

#include <mutex>
#include <string>

#include "godwit/error.h"
#include "godwit/log.h"

namespace godwit {

/// What an image is locked for.
enum class ImageUse {
    write,  ///< a guest writes to it
    read,   ///< a guest reads it
    base,   ///< it lies below another image
};

/// The locks by which QEMU and this program keep each other from using one image twice.
///
/// They are open file description locks (fcntl(2), F_OFD_SETLK) on single bytes of the image file, all of them read
/// locks, which never exclude each other. A byte 100 + n says "I make use of permission n", a byte 200 + n says "nobody
/// else may". Whoever comes takes its own bytes first and then looks (F_OFD_GETLK) whether somebody else holds one that
/// contradicts: of two who come at the same time at least one sees the other. The permissions are 0: a consistent
/// read, 1: write, 3: resize. QEMU 7.2 holds, as /proc/locks shows:
///
/// | use                                       | bytes         |
/// |-------------------------------------------|---------------|
/// | a disk of a guest, raw                    | 100, 101, 201 |
/// | the same, read-only                       | 100, 201      |
/// | a file below another image                | 100, 201, 203 |
/// | waiting for a migration                   | none          |
/// | `qemu-io`, raw (with `-r` only 100)       | 100, 101      |
/// | `qemu-nbd`, raw (with `-r` without 101)   | 100, 101, 203 |
///
/// This class takes the same bytes for the same use. The locks belong to the open file, so they live on in copies of
/// the descriptor (dup, fork) until the last one is closed.
class ImageLock {
public:
    /// Nothing is locked yet. `fd` stays open for as long as this lives; `path` is for messages.
    ImageLock(int fd, std::string path, ImageUse use, Log& log);
    ~ImageLock() { release(); }
    ImageLock(const ImageLock&) = delete;
    ImageLock& operator=(const ImageLock&) = delete;

    /// Idempotent. A file system that knows no such locks makes a warning only. Any thread. Errors: `disk` when
    /// somebody else uses the image in a way that contradicts.
    Status acquire();
    /// Idempotent, any thread.
    void release();
    /// Any thread.
    bool is_held() const;

private:
    Status take();
    Status look_for_others();
    void give_back();
    tl::unexpected<Error> taken_by_another(unsigned permission) const;

    const int fd_;
    const std::string path_;
    const ImageUse use_;
    Log& log_;
    mutable std::mutex mutex_;
    /// Under mutex_.
    bool held_ = false;
};

}  // namespace godwit
