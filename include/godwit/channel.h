#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "godwit/clock.h"
#include "godwit/error.h"

namespace godwit {

using ConstBuffer = std::span<const std::byte>;
using MutableBuffer = std::span<std::byte>;

/// Most buffers that one gathered call takes (the operating system's IOV_MAX).
inline constexpr std::size_t max_gather_buffers = 1024;

class DirectPageReceiver;
class DirectPageSender;

/// What kind of peer a channel has; the handover depends on it.
struct ChannelTraits {
    /// The peer can answer: a return path is possible.
    bool bidirectional = false;
    /// "tcp:10.0.0.1:4444": for messages.
    std::string description;
    /// What passes cannot be read or changed on its way; with `verify-peer` off the peer has not proven who it is.
    bool encrypted = false;
};

/// A byte stream to a peer. One thread reads while another writes; `shutdown` may be called by any thread at any time.
class Channel {
public:
    virtual ~Channel() = default;
    virtual const ChannelTraits& traits() const = 0;

    /// Writes a part of `buffers`, at least one byte; blocks until that is possible. Errors: `idle_timeout` once
    /// `deadline` has passed, `cancelled` after `shutdown`, `peer_closed`, `io`. At most `max_gather_buffers`.
    virtual Result<std::size_t> write_some(std::span<const ConstBuffer> buffers, Instant deadline) = 0;

    /// Reads into `buffers`, in order, what is there; blocks until at least one byte is. 0 means that the peer ended
    /// the stream in an orderly way. Errors as for `write_some`; a reset connection is `peer_closed`.
    virtual Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) = 0;

    /// Waits until the peer's side has everything that was written (tcp: all acknowledged; a file: all on the disk).
    /// Where that cannot be known it returns at once.
    virtual Status drain(Instant deadline) = 0;

    /// Ends the outgoing direction in an orderly way and makes the result permanent: half-close of a socket; fsync and
    /// rename of a file; waiting for the child of `exec:`. After it nothing may be written. Idempotent.
    virtual Status finish_writing(Instant deadline) = 0;

    /// Whether it is known that the peer has ended its direction or is gone, no matter what is still to be read. Any
    /// thread, never blocks.
    virtual bool peer_has_ended() const { return false; }

    /// Gives the connection up: wakes blocked calls, later ones fail with `cancelled`. Idempotent, any thread, never
    /// blocks.
    virtual void shutdown() = 0;

    /// Whether the peer's stream ended (`read_some` said `peer_closed`) as a connection ends in an orderly way, and
    /// only the farewell was missing with which an encrypted stream ends (and not a part of a record): whoever can
    /// reach the network could have ended it. The reader's thread.
    virtual bool ended_without_farewell() const { return false; }

    /// The way past the stream for pages, at the source and at the destination: null where there is none. It lives as
    /// long as the channel.
    virtual DirectPageSender* direct_page_sender() { return nullptr; }
    virtual DirectPageReceiver* direct_page_receiver() { return nullptr; }
};

/// Opens a channel: by connecting, or by accepting the one connection that turns out to be a migration.
class ChannelOpener {
public:
    virtual ~ChannelOpener() = default;
    /// Called once. Errors: `connect`, `connect_timeout`, `cancelled`, `io`.
    virtual Result<std::unique_ptr<Channel>> open(Instant deadline) = 0;
    /// Makes `open` return soon with `cancelled`. Idempotent, any thread, never blocks.
    virtual void cancel() = 0;
};

}  // namespace godwit
