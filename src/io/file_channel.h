#pragma once

#include <memory>
#include <optional>
#include <string>

#include "godwit/channel.h"
#include "io/cancel_event.h"
#include "io/direction.h"
#include "io/file_descriptor.h"
#include "io/temporary_file.h"

namespace godwit {

/// One direction over something on a disk, where waiting for readiness does not exist: a regular file or a block
/// device. `shutdown` takes effect between pieces of a few MiB.
class FileChannel : public Channel {
public:
    /// Saves to `path`. The name appears, or is replaced, when `finish_writing` succeeds; until then nothing of the
    /// file is visible, and nothing remains when that never happens. Errors: `io`.
    static Result<std::unique_ptr<FileChannel>> save(const std::string& path, const Clock& clock);
    /// Reads or writes an open file from its present position on.
    static Result<std::unique_ptr<FileChannel>> over(FileDescriptor fd, Direction direction, std::string description,
                                                     const Clock& clock);

    const ChannelTraits& traits() const override { return traits_; }
    Result<std::size_t> write_some(std::span<const ConstBuffer> buffers, Instant deadline) override;
    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) override;
    /// Returns at once: only `finish_writing` makes a file permanent.
    Status drain(Instant deadline) override;
    /// Waits for the disk. When the deadline comes first, the name stays what it was.
    Status finish_writing(Instant deadline) override;
    void shutdown() override { cancel_->cancel(); }

private:
    FileChannel(FileDescriptor fd, std::optional<TemporaryFile> temporary, Direction direction,
                std::unique_ptr<CancelEvent> cancel, std::string description, const Clock& clock);
    int fd() const { return temporary_ ? temporary_->fd() : fd_.get(); }
    Status sync(int fd, Instant deadline);

    const FileDescriptor fd_;
    std::optional<TemporaryFile> temporary_;
    const Direction direction_;
    const std::unique_ptr<CancelEvent> cancel_;
    const Clock& clock_;
    const ChannelTraits traits_;
    /// Writer's thread only.
    bool finished_ = false;
};

}  // namespace godwit
