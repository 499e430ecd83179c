#include "io/file_channel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "io/channel_errors.h"
#include "io/detached_call.h"
#include "io/gather.h"
#include "io/signal_guard.h"
#include "io/system_error.h"

namespace godwit {

Result<std::unique_ptr<FileChannel>> FileChannel::save(const std::string& path, const Clock& clock) {
    auto temporary = TemporaryFile::create(path);
    if (!temporary) {
        return fail(temporary.error());
    }
    auto cancel = CancelEvent::create();
    if (!cancel) {
        return fail(cancel.error());
    }
    return std::unique_ptr<FileChannel>(new FileChannel(FileDescriptor(), std::move(*temporary), Direction::outgoing,
                                                        std::move(*cancel), "file:" + path, clock));
}

Result<std::unique_ptr<FileChannel>> FileChannel::over(FileDescriptor fd, Direction direction, std::string description,
                                                       const Clock& clock) {
    auto cancel = CancelEvent::create();
    if (!cancel) {
        return fail(cancel.error());
    }
    return std::unique_ptr<FileChannel>(
        new FileChannel(std::move(fd), std::nullopt, direction, std::move(*cancel), std::move(description), clock));
}

FileChannel::FileChannel(FileDescriptor fd, std::optional<TemporaryFile> temporary, Direction direction,
                         std::unique_ptr<CancelEvent> cancel, std::string description, const Clock& clock)
    : fd_(std::move(fd)),
      temporary_(std::move(temporary)),
      direction_(direction),
      cancel_(std::move(cancel)),
      clock_(clock),
      traits_{.bidirectional = false, .description = std::move(description)} {}

Result<std::size_t> FileChannel::write_some(std::span<const ConstBuffer> buffers, Instant) {
    GODWIT_ASSERT(direction_ == Direction::outgoing && !finished_, "write to {}, which is for reading or finished",
                  traits_.description);
    Gather gather(buffers, max_file_call_bytes);
    // Beyond the file size limit of the process the system sends a signal as well.
    SignalGuard guard(SIGXFSZ);
    for (;;) {
        if (cancel_->cancelled()) {
            return fail_cancelled(traits_.description);
        }
        const ssize_t written = ::writev(fd(), gather.data(), static_cast<int>(gather.count()));
        if (written > 0) {
            return static_cast<std::size_t>(written);
        }
        const int error = written == 0 ? ENOSPC : errno;
        if (error == EFBIG) {
            guard.note_raised();
        }
        if (error != EINTR) {
            return fail_transfer("write", traits_.description, error,
                                 error == ENOSPC ? "free some space or choose another place" : "");
        }
    }
}

Result<std::size_t> FileChannel::read_some(std::span<const MutableBuffer> buffers, Instant) {
    GODWIT_ASSERT(direction_ == Direction::incoming, "read from {}, which is for writing", traits_.description);
    Gather gather(buffers, max_file_call_bytes);
    for (;;) {
        if (cancel_->cancelled()) {
            return fail_cancelled(traits_.description);
        }
        const ssize_t got = ::readv(fd(), gather.data(), static_cast<int>(gather.count()));
        if (got >= 0) {
            return static_cast<std::size_t>(got);
        }
        if (errno != EINTR) {
            return fail_transfer("read", traits_.description, errno);
        }
    }
}

Status FileChannel::drain(Instant deadline) {
    if (cancel_->cancelled()) {
        return fail_cancelled(traits_.description);
    }
    return direction_ == Direction::outgoing ? sync(fd(), deadline) : Status();
}

Status FileChannel::finish_writing(Instant deadline) {
    if (cancel_->cancelled()) {
        return fail_cancelled(traits_.description);
    }
    if (finished_ || direction_ == Direction::incoming) {
        return {};
    }
    if (auto synced = sync(fd(), deadline); !synced) {
        return synced;
    }
    if (temporary_) {
        if (auto committed = temporary_->commit(); !committed) {
            return committed;
        }
        if (auto synced = sync(temporary_->directory_fd(), deadline); !synced) {
            return synced;
        }
    }
    finished_ = true;
    return {};
}

Status FileChannel::sync(int fd, Instant deadline) {
    // The copy stays open until the call is over, however long that takes.
    auto copy = std::make_shared<FileDescriptor>(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy->valid()) {
        return fail_errno(ErrorCode::io, fmt::format("cannot make {} permanent", traits_.description), errno);
    }
    auto error = std::make_shared<int>(0);
    const auto outcome = run_detached(
        "godwit-fsync", [copy, error] { *error = ::fsync(copy->get()) == 0 ? 0 : errno; }, *cancel_, deadline, clock_);
    if (!outcome) {
        return fail(outcome.error());
    }
    if (*outcome != WaitOutcome::ready) {
        return fail_wait(*outcome, traits_.description, "the disk did not write everything");
    }
    // Some devices and filesystems have nothing to synchronise.
    if (*error != 0 && *error != EINVAL && *error != EROFS) {
        return fail_errno(ErrorCode::io, fmt::format("cannot make {} permanent", traits_.description), *error);
    }
    return {};
}

}  // namespace godwit
