#include "io/pipe_channel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/assert.h"
#include "io/channel_errors.h"
#include "io/gather.h"
#include "io/signal_guard.h"
#include "io/system_error.h"

namespace godwit {

namespace {

/// The most that the system gives without privileges.
constexpr int pipe_bytes = 1 << 20;

constexpr Duration first_drain_pause = std::chrono::microseconds(50);
constexpr Duration longest_drain_pause = std::chrono::milliseconds(2);

}  // namespace

Result<std::unique_ptr<PipeChannel>> PipeChannel::create(FileDescriptor fd, Direction direction,
                                                         std::string description, const Clock& clock) {
    if (::fcntl(fd.get(), F_GETFL) < 0) {
        return fail_errno(ErrorCode::io, fmt::format("{} cannot be used", description), errno);
    }
    auto cancel = CancelEvent::create();
    if (!cancel) {
        return fail(cancel.error());
    }
    return std::unique_ptr<PipeChannel>(
        new PipeChannel(std::move(fd), direction, std::move(*cancel), std::move(description), clock));
}

PipeChannel::PipeChannel(FileDescriptor fd, Direction direction, std::unique_ptr<CancelEvent> cancel,
                         std::string description, const Clock& clock)
    : fd_(std::move(fd)),
      direction_(direction),
      cancel_(std::move(cancel)),
      clock_(clock),
      traits_{.bidirectional = false, .description = std::move(description)} {
    set_mode();
    // Fewer wake-ups; what is no pipe, or has more, stays as it is.
    if (::fcntl(fd_.get(), F_GETPIPE_SZ) < pipe_bytes) {
        ::fcntl(fd_.get(), F_SETPIPE_SZ, pipe_bytes);
    }
}

PipeChannel::~PipeChannel() {
    restore_mode();
}

void PipeChannel::set_mode() {
    const int flags = ::fcntl(fd_.get(), F_GETFL);
    was_blocking_ = (flags & O_NONBLOCK) == 0;
    if (was_blocking_) {
        ::fcntl(fd_.get(), F_SETFL, flags | O_NONBLOCK);
    }
}

void PipeChannel::restore_mode() {
    if (fd_.valid() && was_blocking_) {
        // Read again: others may have changed other flags.
        ::fcntl(fd_.get(), F_SETFL, ::fcntl(fd_.get(), F_GETFL) & ~O_NONBLOCK);
    }
}

Result<std::size_t> PipeChannel::write_some(std::span<const ConstBuffer> buffers, Instant deadline) {
    GODWIT_ASSERT(direction_ == Direction::outgoing && fd_.valid(), "write to {}, which is for reading or finished",
                  traits_.description);
    Gather gather(buffers, max_stream_call_bytes);
    for (;;) {
        if (cancel_->cancelled()) {
            return fail_cancelled(traits_.description);
        }
        ssize_t written = 0;
        int error = 0;
        {
            SignalGuard guard(SIGPIPE);
            written = ::writev(fd_.get(), gather.data(), static_cast<int>(gather.count()));
            error = errno;
            if (written < 0 && error == EPIPE) {
                guard.note_raised();
            }
        }
        if (written > 0) {
            return static_cast<std::size_t>(written);
        }
        if (written == 0 || error == EAGAIN) {
            const WaitOutcome outcome = cancel_->wait(fd_.get(), POLLOUT, deadline, clock_);
            if (outcome != WaitOutcome::ready) {
                return fail_wait(outcome, traits_.description, no_data_taken);
            }
        } else if (error == EPIPE) {
            return fail_peer_closed(traits_.description);
        } else if (error != EINTR) {
            return fail_transfer("write", traits_.description, error);
        }
    }
}

Result<std::size_t> PipeChannel::read_some(std::span<const MutableBuffer> buffers, Instant deadline) {
    GODWIT_ASSERT(direction_ == Direction::incoming, "read from {}, which is for writing", traits_.description);
    Gather gather(buffers, max_stream_call_bytes);
    bool wait_first = awaits_writer_;
    for (;;) {
        if (cancel_->cancelled()) {
            return fail_cancelled(traits_.description);
        }
        if (wait_first) {
            const WaitOutcome outcome = cancel_->wait(fd_.get(), POLLIN, deadline, clock_);
            if (outcome != WaitOutcome::ready) {
                return fail_wait(outcome, traits_.description, no_data_sent);
            }
            awaits_writer_ = false;
        }
        const ssize_t got = ::readv(fd_.get(), gather.data(), static_cast<int>(gather.count()));
        if (got >= 0) {
            return static_cast<std::size_t>(got);
        }
        if (errno != EAGAIN && errno != EINTR) {
            return fail_transfer("read", traits_.description, errno);
        }
        wait_first = errno == EAGAIN;
    }
}

Status PipeChannel::drain(Instant deadline) {
    Duration pause = first_drain_pause;
    for (;;) {
        if (cancel_->cancelled()) {
            return fail_cancelled(traits_.description);
        }
        int queued_bytes = 0;
        const bool has_queue = fd_.valid() && ::fcntl(fd_.get(), F_GETPIPE_SZ) > 0;
        if (direction_ == Direction::incoming || !has_queue || ::ioctl(fd_.get(), FIONREAD, &queued_bytes) != 0 ||
            queued_bytes == 0) {
            return {};
        }
        const Instant now = clock_.now();
        if (now >= deadline) {
            return fail_wait(WaitOutcome::timed_out, traits_.description, not_acknowledged);
        }
        // Asked for no event: only the reader's end is reported.
        const Instant next_look = deadline - now > pause ? now + pause : deadline;
        if (cancel_->wait(fd_.get(), 0, next_look, clock_) == WaitOutcome::ready) {
            return fail_peer_closed(traits_.description);
        }
        pause = std::min(pause * 2, longest_drain_pause);
    }
}

Status PipeChannel::finish_writing(Instant) {
    if (cancel_->cancelled()) {
        return fail_cancelled(traits_.description);
    }
    if (direction_ == Direction::outgoing) {
        restore_mode();
        fd_.reset();
    }
    return {};
}

}  // namespace godwit
