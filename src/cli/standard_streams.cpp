#include "cli/standard_streams.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace godwit {

namespace {

/// A pipe or terminal that polls as writable takes this much without blocking.
constexpr std::size_t piece_bytes = 512;

}  // namespace

bool StandardStreams::is_terminal() const {
    return ::isatty(input_) == 1 && ::isatty(output_) == 1;
}

bool StandardStreams::wait_for_foreground() const {
    while (!cancel_.cancelled()) {
        const pid_t foreground = ::tcgetpgrp(input_);
        if (foreground <= 0 || foreground == ::getpgrp()) {
            return true;
        }
        cancel_.wait(-1, 0, clock_.now() + std::chrono::seconds(1), clock_);
    }
    return false;
}

std::size_t StandardStreams::read(std::span<char> buffer) const {
    for (;;) {
        if (cancel_.wait(input_, POLLIN, never, clock_) != WaitOutcome::ready || !wait_for_foreground()) {
            return 0;
        }
        const ssize_t count = ::read(input_, buffer.data(), buffer.size());
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        return count > 0 ? static_cast<std::size_t>(count) : 0;
    }
}

void StandardStreams::write(std::string_view text) const {
    while (!text.empty() && cancel_.wait(output_, POLLOUT, never, clock_) == WaitOutcome::ready) {
        const ssize_t count = ::write(output_, text.data(), std::min(text.size(), piece_bytes));
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (count <= 0) {
            return;
        }
        text.remove_prefix(static_cast<std::size_t>(count));
    }
}

}  // namespace godwit
