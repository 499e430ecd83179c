#pragma once

#include <memory>

#include "godwit/channel.h"
#include "io/address.h"
#include "io/cancel_event.h"
#include "io/direction.h"

namespace godwit {

/// Hands over a channel that stands already.
class ReadyOpener : public ChannelOpener {
public:
    /// Errors: `io`.
    static Result<std::unique_ptr<ChannelOpener>> create(std::unique_ptr<Channel> channel);

    Result<std::unique_ptr<Channel>> open(Instant deadline) override;
    void cancel() override { cancel_->cancel(); }

private:
    ReadyOpener(std::unique_ptr<Channel> channel, std::unique_ptr<CancelEvent> cancel);

    std::unique_ptr<Channel> channel_;
    const std::unique_ptr<CancelEvent> cancel_;
};

/// Starts the command of `exec:`.
class ExecOpener : public ChannelOpener {
public:
    /// Errors: `io`.
    static Result<std::unique_ptr<ChannelOpener>> create(const ExecAddress& address, Direction direction,
                                                         const Clock& clock);

    Result<std::unique_ptr<Channel>> open(Instant deadline) override;
    void cancel() override { cancel_->cancel(); }

private:
    ExecOpener(ExecAddress address, Direction direction, std::unique_ptr<CancelEvent> cancel, const Clock& clock);

    const ExecAddress address_;
    const Direction direction_;
    const std::unique_ptr<CancelEvent> cancel_;
    const Clock& clock_;
};

/// Opens the file of `file:`. What stands at the path decides how: a regular file, or none, is saved under a temporary
/// name and renamed; anything else (a device, a FIFO) is written as it is, after waiting for a FIFO's reader.
class FileOpener : public ChannelOpener {
public:
    /// Errors: `io`.
    static Result<std::unique_ptr<ChannelOpener>> create(const FileAddress& address, Direction direction,
                                                         const Clock& clock);

    Result<std::unique_ptr<Channel>> open(Instant deadline) override;
    void cancel() override { cancel_->cancel(); }

private:
    FileOpener(FileAddress address, Direction direction, std::unique_ptr<CancelEvent> cancel, const Clock& clock);
    Result<std::unique_ptr<Channel>> open_existing(Instant deadline);

    const FileAddress address_;
    const Direction direction_;
    const std::unique_ptr<CancelEvent> cancel_;
    const Clock& clock_;
};

}  // namespace godwit
