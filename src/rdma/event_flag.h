#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "godwit/error.h"
#include "io/file_descriptor.h"
#include "io/system_error.h"

namespace godwit::rdma {

/// A condition that can be waited for with poll(2): the descriptor is readable while it holds. Whoever owns the
/// condition changes it, one thread at a time; any thread waits.
class EventFlag {
public:
    /// Errors: `io` when the process has no descriptor left.
    static Result<EventFlag> create() {
        FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!event.valid()) {
            return fail_errno(ErrorCode::io, "cannot make an event descriptor", errno,
                              "raise the limit on open files (ulimit -n)");
        }
        return EventFlag(std::move(event));
    }

    int fd() const { return event_.get(); }
    void set(bool holds) {
        if (holds == holds_) {
            return;
        }
        holds_ = holds;
        // Neither can fail: the counter goes from 0 to 1 and back.
        std::uint64_t count = 1;
        [[maybe_unused]] const ssize_t moved =
            holds ? ::write(event_.get(), &count, sizeof(count)) : ::read(event_.get(), &count, sizeof(count));
    }

private:
    explicit EventFlag(FileDescriptor event) : event_(std::move(event)) {}

    FileDescriptor event_;
    bool holds_ = false;
};

}  // namespace godwit::rdma
