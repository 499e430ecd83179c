#pragma once

#include <memory>
#include <span>
#include <string>

#include "godwit/channel.h"
#include "godwit/clock.h"
#include "godwit/log.h"
#include "rdma/messages.h"

namespace godwit::rdma {

/// Carries control messages between the two sides. It keeps the order of what is sent, lets at most one message that
/// `needs_ready` be on its way in each direction, and notices within seconds a peer that is gone, stopped or silent:
/// both sides send heartbeats, whatever their threads are doing.
///
/// The first error sticks, in both directions. Errors: `peer_closed` (the connection, or the peer's ERROR with its
/// text), `idle_timeout` once a deadline has passed or the peer's heartbeats have stopped, `cancelled` after
/// `shut_down`, `stream_corrupt` for what breaks the format or the flow control, `io`.
class ControlConnection {
public:
    virtual ~ControlConnection() = default;

    /// Sends a message; one that `needs_ready` waits for the peer's READY. Any thread.
    virtual Status send(const Message& message, Instant deadline) = 0;
    /// The same for a message of type `stream`, from `buffers`: as much as fits into one. Returns how much that was.
    virtual Result<std::size_t> send_stream(std::span<const ConstBuffer> buffers, Instant deadline) = 0;
    /// Waits until the peer has used up everything that `needs_ready`. The thread that sends.
    virtual Status wait_used(Instant deadline) = 0;

    /// Waits for a message that `needs_ready`; it stays until `done`. Null: `other`, a descriptor, if given, became
    /// readable first. One thread receives.
    virtual Result<Message*> receive(Instant deadline, int other = -1) = 0;
    /// The message is used up; the peer may send the next.
    virtual Status done() = 0;

    /// Waits for an answer. One thread asks; it need not be the one that receives.
    virtual Result<std::unique_ptr<Message>> receive_response(Instant deadline) = 0;

    /// Waits until `descriptor` is readable, whatever messages come meanwhile. The thread that asks.
    virtual Status wait_readable(int descriptor, Instant deadline) = 0;

    /// An error that has come up by now, from whatever direction. Any thread, never waits.
    virtual Status status() const = 0;

    /// Whether the peer has closed the connection or is gone, known or not yet told by the others. Any thread, never
    /// waits.
    virtual bool peer_has_ended() const { return !status(); }

    /// Waits until everything that has come from the peer by now is known here, its end too: it never waits for the
    /// peer. The thread that receives.
    virtual Status settle() = 0;

    /// Gives up: sends ERROR with `reason` if possible, and makes everything return. An empty reason: the end is an
    /// orderly one and nothing is sent. Idempotent, any thread, never blocks.
    virtual void shut_down(std::string_view reason) = 0;
    /// After `shut_down`: waits until the peer's host has everything that was sent and, if that ended with a reason,
    /// the peer has closed as well; at most for half a second. Before it there is nothing to wait for.
    virtual void wait_farewell() = 0;
};

}  // namespace godwit::rdma
