#include "io/local_openers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/assert.h"
#include "io/channel_errors.h"
#include "io/descriptor_channel.h"
#include "io/exec_channel.h"
#include "io/file_channel.h"
#include "io/shown_text.h"
#include "io/system_error.h"

namespace godwit {

namespace {

/// Between looks whether a FIFO has a reader; the system offers nothing to wait for.
constexpr Duration fifo_pause = std::chrono::milliseconds(10);

}  // namespace

Result<std::unique_ptr<ChannelOpener>> ReadyOpener::create(std::unique_ptr<Channel> channel) {
    auto cancel = CancelEvent::create();
    if (!cancel) {
        return fail(cancel.error());
    }
    return std::unique_ptr<ChannelOpener>(new ReadyOpener(std::move(channel), std::move(*cancel)));
}

ReadyOpener::ReadyOpener(std::unique_ptr<Channel> channel, std::unique_ptr<CancelEvent> cancel)
    : channel_(std::move(channel)), cancel_(std::move(cancel)) {}

Result<std::unique_ptr<Channel>> ReadyOpener::open(Instant) {
    GODWIT_ASSERT(channel_ != nullptr, "an opener is used once");
    if (cancel_->cancelled()) {
        return fail_cancelled(channel_->traits().description);
    }
    return std::move(channel_);
}

Result<std::unique_ptr<ChannelOpener>> ExecOpener::create(const ExecAddress& address, Direction direction,
                                                          const Clock& clock) {
    auto cancel = CancelEvent::create();
    if (!cancel) {
        return fail(cancel.error());
    }
    return std::unique_ptr<ChannelOpener>(new ExecOpener(address, direction, std::move(*cancel), clock));
}

ExecOpener::ExecOpener(ExecAddress address, Direction direction, std::unique_ptr<CancelEvent> cancel,
                       const Clock& clock)
    : address_(std::move(address)), direction_(direction), cancel_(std::move(cancel)), clock_(clock) {}

Result<std::unique_ptr<Channel>> ExecOpener::open(Instant) {
    if (cancel_->cancelled()) {
        return fail_cancelled("exec:" + shown_command(address_.command));
    }
    auto channel = ExecChannel::start(address_.command, direction_, clock_);
    if (!channel) {
        return fail(channel.error());
    }
    return std::move(*channel);
}

Result<std::unique_ptr<ChannelOpener>> FileOpener::create(const FileAddress& address, Direction direction,
                                                          const Clock& clock) {
    auto cancel = CancelEvent::create();
    if (!cancel) {
        return fail(cancel.error());
    }
    return std::unique_ptr<ChannelOpener>(new FileOpener(address, direction, std::move(*cancel), clock));
}

FileOpener::FileOpener(FileAddress address, Direction direction, std::unique_ptr<CancelEvent> cancel,
                       const Clock& clock)
    : address_(std::move(address)), direction_(direction), cancel_(std::move(cancel)), clock_(clock) {}

Result<std::unique_ptr<Channel>> FileOpener::open(Instant deadline) {
    if (cancel_->cancelled()) {
        return fail_cancelled(to_string(Address(address_)));
    }
    struct stat info {};
    const bool exists = ::stat(address_.path.c_str(), &info) == 0;
    if (direction_ == Direction::incoming || (exists && !S_ISREG(info.st_mode))) {
        return open_existing(deadline);
    }
    auto channel = FileChannel::save(address_.path, clock_);
    if (!channel) {
        return fail(channel.error());
    }
    return std::move(*channel);
}

Result<std::unique_ptr<Channel>> FileOpener::open_existing(Instant deadline) {
    const bool outgoing = direction_ == Direction::outgoing;
    const int access = outgoing ? O_WRONLY : O_RDONLY;
    const std::string description = to_string(Address(address_));
    for (;;) {
        // Non-blocking, because opening a FIFO would wait for the other side.
        FileDescriptor fd(::open(address_.path.c_str(), access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
        if (fd.valid()) {
            return make_descriptor_channel(std::move(fd), direction_, description, clock_);
        }
        if (errno != ENXIO && errno != EINTR) {
            return fail_errno(ErrorCode::io,
                              fmt::format("cannot open '{}' for {}", address_.path, outgoing ? "writing" : "reading"),
                              errno);
        }
        if (clock_.now() >= deadline) {
            return fail(ErrorCode::connect_timeout, fmt::format("nobody reads '{}'", address_.path));
        }
        if (cancel_->wait(-1, 0, std::min(deadline, clock_.now() + fifo_pause), clock_) == WaitOutcome::cancelled) {
            return fail_cancelled(description);
        }
    }
}

}  // namespace godwit
