#pragma once

#include <memory>
#include <string>

#include "godwit/channel.h"
#include "io/child_process.h"
#include "io/direction.h"
#include "io/pipe_channel.h"

namespace godwit {

/// A shell command that takes the stream on its standard input (outgoing) or gives it on its standard output
/// (incoming). Its end is part of the stream: a status other than 0, or a signal, is the error `child_failed`.
class ExecChannel : public Channel {
public:
    /// Starts the command. Errors: `io`.
    static Result<std::unique_ptr<ExecChannel>> start(const std::string& command, Direction direction,
                                                      const Clock& clock);

    const ChannelTraits& traits() const override { return pipe_->traits(); }
    Result<std::size_t> write_some(std::span<const ConstBuffer> buffers, Instant deadline) override;
    /// The end of the stream (0) is reported only after the command has ended well.
    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) override;
    Status drain(Instant deadline) override;
    /// Outgoing: ends the command's input and waits for its end. Incoming: throws away what the command still says and
    /// waits for its end, so that a late failure is noticed.
    Status finish_writing(Instant deadline) override;
    /// Kills the command and all it has started.
    void shutdown() override;

    pid_t child_pid() const { return child_->pid(); }

private:
    ExecChannel(std::string command, Direction direction, std::unique_ptr<CancelEvent> cancel,
                std::unique_ptr<ChildProcess> child, std::unique_ptr<PipeChannel> pipe, const Clock& clock);

    Status wait_for_child(Instant deadline);
    Error explain(Error error, Instant deadline);

    const std::string command_;
    const Direction direction_;
    const std::unique_ptr<CancelEvent> cancel_;
    const Clock& clock_;
    const std::unique_ptr<ChildProcess> child_;
    const std::unique_ptr<PipeChannel> pipe_;
};

}  // namespace godwit
