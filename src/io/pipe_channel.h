#pragma once

#include <memory>
#include <string>

#include "godwit/channel.h"
#include "io/cancel_event.h"
#include "io/direction.h"
#include "io/file_descriptor.h"

namespace godwit {

/// One direction over a descriptor that can be polled and is no socket: pipe, FIFO, terminal, character device. The
/// descriptor is made non-blocking while the channel has it. That mode belongs to everyone who shares the descriptor,
/// so it is put back at the end.
class PipeChannel : public Channel {
public:
    /// Errors: `io`.
    static Result<std::unique_ptr<PipeChannel>> create(FileDescriptor fd, Direction direction, std::string description,
                                                       const Clock& clock);
    ~PipeChannel() override;

    const ChannelTraits& traits() const override { return traits_; }
    Result<std::size_t> write_some(std::span<const ConstBuffer> buffers, Instant deadline) override;
    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) override;
    /// Until the reader has taken everything out of the pipe; other kinds of descriptors have no queue that could be
    /// seen.
    Status drain(Instant deadline) override;
    /// Closes the descriptor, which is the end of the stream for the reader.
    Status finish_writing(Instant deadline) override;
    void shutdown() override { cancel_->cancel(); }

private:
    PipeChannel(FileDescriptor fd, Direction direction, std::unique_ptr<CancelEvent> cancel, std::string description,
                const Clock& clock);
    void set_mode();
    void restore_mode();

    /// The writer's or the reader's thread only.
    FileDescriptor fd_;
    const Direction direction_;
    const std::unique_ptr<CancelEvent> cancel_;
    const Clock& clock_;
    const ChannelTraits traits_;
    /// The descriptor was in blocking mode.
    bool was_blocking_ = false;
    /// Until the first data or end: a FIFO that nobody has opened for writing yet looks like one that has ended.
    bool awaits_writer_ = true;
};

}  // namespace godwit
