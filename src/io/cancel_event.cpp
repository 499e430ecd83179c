#include "io/cancel_event.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "io/poll_timeout.h"
#include "io/system_error.h"

namespace godwit {

Result<std::unique_ptr<CancelEvent>> CancelEvent::create() {
    FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event.valid()) {
        return fail_errno(ErrorCode::io, "cannot make an event descriptor", errno,
                          "raise the limit on open files (ulimit -n)");
    }
    return std::unique_ptr<CancelEvent>(new CancelEvent(std::move(event)));
}

void CancelEvent::cancel() {
    if (!cancelled_.exchange(true)) {
        const std::uint64_t one = 1;
        // Cannot fail: the counter is at zero.
        [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof(one));
    }
}

WaitOutcome CancelEvent::wait(int fd, short poll_events, Instant deadline, const Clock& clock, short* revents) const {
    std::array<pollfd, 2> descriptors{pollfd{.fd = event_.get(), .events = POLLIN, .revents = 0},
                                      pollfd{.fd = fd, .events = poll_events, .revents = 0}};
    const WaitOutcome outcome = wait_with_event(descriptors.data(), descriptors.size(), deadline, clock);
    if (revents != nullptr) {
        *revents = descriptors[1].revents;
    }
    return outcome;
}

WaitOutcome CancelEvent::wait_any(std::vector<pollfd>& descriptors, Instant deadline, const Clock& clock) const {
    descriptors.insert(descriptors.begin(), pollfd{.fd = event_.get(), .events = POLLIN, .revents = 0});
    const WaitOutcome outcome = wait_with_event(descriptors.data(), descriptors.size(), deadline, clock);
    descriptors.erase(descriptors.begin());
    return outcome;
}

/// The first of `descriptors` is the event.
WaitOutcome CancelEvent::wait_with_event(pollfd* descriptors, nfds_t count, Instant deadline,
                                         const Clock& clock) const {
    for (;;) {
        const PollTimeout timeout(deadline, clock.now());
        // A failure is EINTR, or ENOMEM, which passes as well.
        const int ready_count = ::ppoll(descriptors, count, timeout.get(), nullptr);
        if (cancelled_) {
            return WaitOutcome::cancelled;
        }
        if (ready_count > 0) {
            return WaitOutcome::ready;
        }
        if (clock.now() >= deadline) {
            return WaitOutcome::timed_out;
        }
    }
}

}  // namespace godwit
