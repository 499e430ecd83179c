#include "rdma/outgoing_queue.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <utility>

#include "io/gather.h"

namespace godwit::rdma {

void OutgoingQueue::put(const Message& message) {
    std::array<std::byte, header_bytes> header{};
    encode(Header{static_cast<std::uint32_t>(message.payload.size()), message.type, message.repeat}, header);
    const std::array<ConstBuffer, 2> pieces{header, message.payload};
    put(message.type, pieces);
}

void OutgoingQueue::put(MessageType type, std::span<const ConstBuffer> pieces) {
    // After an error the frame stays: whoever flushes finds the error.
    std::size_t sent_bytes = frames_.empty() && error_ == 0 ? send_now(pieces) : 0;
    Frame rest{type, {}, 0};
    for (const ConstBuffer piece : pieces) {
        const std::size_t skipped = std::min(sent_bytes, piece.size());
        sent_bytes -= skipped;
        const ConstBuffer unsent = piece.subspan(skipped);
        rest.bytes.insert(rest.bytes.end(), unsent.begin(), unsent.end());
    }
    if (!rest.bytes.empty()) {
        frames_.push_back(std::move(rest));
    }
}

void OutgoingQueue::flush() {
    while (!frames_.empty() && error_ == 0) {
        Frame& frame = frames_.front();
        const ConstBuffer unsent = ConstBuffer(frame.bytes).subspan(frame.sent_bytes);
        const std::size_t sent_bytes = send_now({&unsent, 1});
        if (sent_bytes < unsent.size()) {
            frame.sent_bytes += sent_bytes;
            return;
        }
        frames_.pop_front();
    }
}

std::size_t OutgoingQueue::send_now(std::span<const ConstBuffer> pieces) {
    Gather gather(pieces, max_stream_call_bytes);
    msghdr message{};
    message.msg_iov = gather.data();
    message.msg_iovlen = gather.count();
    const ssize_t sent = ::sendmsg(socket_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
        return static_cast<std::size_t>(sent);
    }
    if (errno != EAGAIN && errno != EINTR) {
        error_ = errno;
    }
    return 0;
}

bool OutgoingQueue::holds(bool (*is_such)(MessageType)) const {
    return std::any_of(frames_.begin(), frames_.end(), [&](const Frame& frame) { return is_such(frame.type); });
}

}  // namespace godwit::rdma
