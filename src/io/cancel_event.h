#pragma once

#include <poll.h>

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "godwit/clock.h"
#include "godwit/error.h"
#include "io/file_descriptor.h"

namespace godwit {

enum class WaitOutcome {
    ready,      ///< the descriptor can be used, or has an error
    cancelled,  ///< `cancel` was called
    timed_out,  ///< the deadline has passed
};

/// Ends waits from another thread: every wait on a descriptor in this library waits for such an event too. Once
/// cancelled it stays so.
class CancelEvent {
public:
    /// Errors: `io` when the process has no descriptor left.
    static Result<std::unique_ptr<CancelEvent>> create();

    /// Idempotent, any thread, never blocks.
    void cancel();
    /// Any thread.
    bool cancelled() const { return cancelled_; }

    /// Waits until `fd` has one of `poll_events` or an error. A negative descriptor is never ready: then this is a
    /// sleep. Fills `revents`, if given, when ready. Several threads may wait at the same time.
    WaitOutcome wait(int fd, short poll_events, Instant deadline, const Clock& clock, short* revents = nullptr) const;
    /// The same for several descriptors at once; `ready` when at least one is.
    WaitOutcome wait_any(std::vector<pollfd>& descriptors, Instant deadline, const Clock& clock) const;

private:
    explicit CancelEvent(FileDescriptor event) : event_(std::move(event)) {}
    WaitOutcome wait_with_event(pollfd* descriptors, nfds_t count, Instant deadline, const Clock& clock) const;

    std::atomic<bool> cancelled_{false};
    /// Readable from `cancel` on; never read.
    const FileDescriptor event_;
};

}  // namespace godwit
