#include "io/exec_channel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>
#include <vector>

#include "io/channel_errors.h"
#include "io/shown_text.h"
#include "io/system_error.h"

namespace godwit {

namespace {

/// How long a command may take to end after it has closed its input too early; then its status explains why.
constexpr Duration explanation_time = std::chrono::seconds(1);

constexpr std::size_t discard_bytes = 64 * 1024;

constexpr const char* command_hint = "look at what the command wrote to standard error";

}  // namespace

Result<std::unique_ptr<ExecChannel>> ExecChannel::start(const std::string& command, Direction direction,
                                                        const Clock& clock) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return fail_errno(ErrorCode::io, "cannot make a pipe", errno);
    }
    FileDescriptor read_end(ends[0]);
    FileDescriptor write_end(ends[1]);
    const bool outgoing = direction == Direction::outgoing;
    auto pipe = PipeChannel::create(std::move(outgoing ? write_end : read_end), direction,
                                    "exec:" + shown_command(command), clock);
    auto cancel = CancelEvent::create();
    if (!pipe || !cancel) {
        return fail(!pipe ? pipe.error() : cancel.error());
    }
    // What was handed to the pipe's channel above is empty by now.
    auto child = ChildProcess::spawn(command, std::move(read_end), std::move(write_end));
    if (!child) {
        return fail(child.error());
    }
    return std::unique_ptr<ExecChannel>(
        new ExecChannel(command, direction, std::move(*cancel), std::move(*child), std::move(*pipe), clock));
}

ExecChannel::ExecChannel(std::string command, Direction direction, std::unique_ptr<CancelEvent> cancel,
                         std::unique_ptr<ChildProcess> child, std::unique_ptr<PipeChannel> pipe, const Clock& clock)
    : command_(std::move(command)),
      direction_(direction),
      cancel_(std::move(cancel)),
      clock_(clock),
      child_(std::move(child)),
      pipe_(std::move(pipe)) {}

Result<std::size_t> ExecChannel::write_some(std::span<const ConstBuffer> buffers, Instant deadline) {
    auto written = pipe_->write_some(buffers, deadline);
    if (!written) {
        return fail(explain(std::move(written.error()), deadline));
    }
    return written;
}

Result<std::size_t> ExecChannel::read_some(std::span<const MutableBuffer> buffers, Instant deadline) {
    auto got = pipe_->read_some(buffers, deadline);
    if (got && *got == 0) {
        if (auto ended = wait_for_child(deadline); !ended) {
            return fail(ended.error());
        }
    }
    return got;
}

Status ExecChannel::drain(Instant deadline) {
    auto drained = pipe_->drain(deadline);
    if (!drained) {
        return fail(explain(std::move(drained.error()), deadline));
    }
    return {};
}

Status ExecChannel::finish_writing(Instant deadline) {
    if (direction_ == Direction::outgoing) {
        if (auto ended = pipe_->finish_writing(deadline); !ended) {
            return ended;
        }
        return wait_for_child(deadline);
    }
    std::vector<std::byte> discarded(discard_bytes);
    const MutableBuffer buffer(discarded);
    for (;;) {
        auto got = read_some({&buffer, 1}, deadline);
        if (!got) {
            return fail(got.error());
        }
        if (*got == 0) {
            return {};
        }
        if (clock_.now() >= deadline) {
            return fail_wait(WaitOutcome::timed_out, traits().description, "the command did not end");
        }
    }
}

void ExecChannel::shutdown() {
    cancel_->cancel();
    pipe_->shutdown();
    child_->kill();
}

Status ExecChannel::wait_for_child(Instant deadline) {
    WaitOutcome outcome = WaitOutcome::ready;
    const auto end = child_->wait(*cancel_, deadline, clock_, outcome);
    // A child that was killed by `shutdown` did not fail.
    if (cancel_->cancelled()) {
        return fail_cancelled(traits().description);
    }
    if (!end) {
        return fail_wait(outcome, traits().description, "the command did not end");
    }
    if (!end->success()) {
        return fail(ErrorCode::child_failed, fmt::format("the command '{}' {}", shown_command(command_), end->text()),
                    command_hint);
    }
    return {};
}

/// A broken pipe says little; the child's status says why.
Error ExecChannel::explain(Error error, Instant deadline) {
    if (error.code != ErrorCode::peer_closed) {
        return error;
    }
    const Instant limit = std::min(deadline, clock_.now() + explanation_time);
    auto ended = wait_for_child(limit);
    if (!ended && ended.error().code != ErrorCode::idle_timeout) {
        return std::move(ended.error());
    }
    return {ErrorCode::child_failed,
            fmt::format("the command '{}' {} it had read the whole stream", shown_command(command_),
                        ended ? "ended with status 0 before" : "closed its input before"),
            "it must read its standard input to the end"};
}

}  // namespace godwit
