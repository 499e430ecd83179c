#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "godwit/channel.h"
#include "io/cancel_event.h"
#include "io/file_descriptor.h"

namespace godwit {

/// A connected stream socket of any family: tcp, unix, one end of a socketpair. It works in either blocking mode and
/// leaves the mode as it is. The time limits of silent networks (keepalive) are set here.
class SocketChannel : public Channel {
public:
    /// Errors: `unsupported` when `socket` is not a connected stream socket, `io`.
    static Result<std::unique_ptr<SocketChannel>> create(FileDescriptor socket, std::string description,
                                                         const Clock& clock);

    const ChannelTraits& traits() const override { return traits_; }
    Result<std::size_t> write_some(std::span<const ConstBuffer> buffers, Instant deadline) override;
    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) override;
    /// For a unix socket: until the peer has read everything.
    Status drain(Instant deadline) override;
    Status finish_writing(Instant deadline) override;
    void shutdown() override { cancel_->cancel(); }

    /// From now on, closing is a reset: the peer cannot take it for an orderly end, and what it has not got yet is lost
    /// (tcp; a unix socket has no such thing). Any thread.
    void reset_at_close();
    /// Whether the peer has ended its direction or is gone, no matter what is still to be read. Any thread.
    bool peer_has_ended() const;
    /// Whether the peer is known to be gone altogether. For tcp that may take a minute. Any thread.
    bool peer_is_gone() const;

private:
    SocketChannel(FileDescriptor socket, bool tcp, std::unique_ptr<CancelEvent> cancel, std::string description,
                  const Clock& clock);

    Result<std::size_t> end_of_stream();
    bool connection_is_gone(short revents) const;
    tl::unexpected<Error> fail_socket(const char* action, int error) const;

    const FileDescriptor socket_;
    const bool tcp_;
    const std::unique_ptr<CancelEvent> cancel_;
    const Clock& clock_;
    const ChannelTraits traits_;
    /// Writer's thread only.
    bool finished_ = false;
    /// The system took or gave less than was asked for: the next call would only be told to wait. The former is the
    /// writer's thread's, the latter the reader's.
    bool send_was_short_ = false;
    bool receive_was_short_ = false;

    // The system reports a reset once, to whichever of the two threads comes first; these make both see it.
    /// Written by the writer's thread.
    std::atomic<bool> in_send_{false};
    std::atomic<bool> reset_{false};
};

}  // namespace godwit
