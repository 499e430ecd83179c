#pragma once

#include <deque>
#include <span>
#include <vector>

#include "rdma/messages.h"

namespace godwit::rdma {

/// Messages on their way into a socket, in order. What the socket does not take at once is kept; how much that may be
/// is up to the user. Never blocks. Under its user's lock.
class OutgoingQueue {
public:
    /// `socket` belongs to somebody else.
    explicit OutgoingQueue(int socket) : socket_(socket) {}

    /// Sends one message, header first. `pieces` are at most `max_gather_buffers`.
    void put(MessageType type, std::span<const ConstBuffer> pieces);
    void put(const Message& message);
    /// Sends what the socket takes now.
    void flush();

    bool empty() const { return frames_.empty(); }
    /// A message of such a type has not left completely.
    bool holds(bool (*is_such)(MessageType)) const;
    /// The errno value with which the socket refused; 0: it has not.
    int error() const { return error_; }

private:
    /// What is left of a message.
    struct Frame {
        MessageType type;
        std::vector<std::byte> bytes;
        std::size_t sent_bytes = 0;
    };
    /// Returns how much the socket took.
    std::size_t send_now(std::span<const ConstBuffer> pieces);

    const int socket_;
    std::deque<Frame> frames_;
    int error_ = 0;
};

}  // namespace godwit::rdma
