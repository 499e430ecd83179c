#include "rdma/rdma_channel.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace godwit::rdma {

RdmaChannel::RdmaChannel(Role role, std::unique_ptr<ControlConnection> control, std::unique_ptr<Fabric> fabric,
                         std::string description, const PageTerms& terms)
    : role_(role), traits_{.bidirectional = true, .description = std::move(description)}, control_(std::move(control)) {
    if (role == Role::source) {
        sender_.emplace(*control_, std::move(fabric), terms);
    } else {
        receiver_.emplace(*control_, std::move(fabric), terms);
    }
}

RdmaChannel::~RdmaChannel() {
    shutdown();
}

Result<std::size_t> RdmaChannel::write_some(std::span<const ConstBuffer> buffers, Instant deadline) {
    GODWIT_ASSERT(!finished_, "write to {} after finish_writing", traits_.description);
    return control_->send_stream(buffers, deadline);
}

Result<std::size_t> RdmaChannel::read_some(std::span<const MutableBuffer> buffers, Instant deadline) {
    if (message_ == nullptr) {
        const Result<bool> found = next_message(deadline);
        if (!found) {
            return fail(found.error());
        }
        if (!*found) {
            return 0;
        }
    }
    std::size_t copied_bytes = 0;
    for (const MutableBuffer& buffer : buffers) {
        const ConstBuffer unread = ConstBuffer(message_->payload).subspan(read_bytes_);
        const ConstBuffer part = unread.first(std::min(unread.size(), buffer.size()));
        std::copy(part.begin(), part.end(), buffer.begin());
        read_bytes_ += part.size();
        copied_bytes += part.size();
    }
    GODWIT_ASSERT(copied_bytes != 0, "a read from {} into no memory", traits_.description);
    if (read_bytes_ == message_->payload.size()) {
        message_ = nullptr;
        // These bytes have come. An error that ends the connection comes up in the next call.
        static_cast<void>(control_->done());
    }
    return copied_bytes;
}

/// False: the stream has ended.
Result<bool> RdmaChannel::next_message(Instant deadline) {
    if (ended_) {
        return false;
    }
    const Result<Message*> message = control_->receive(deadline);
    if (!message) {
        return fail(message.error());
    }
    switch ((*message)->type) {
        case MessageType::stream:
            message_ = *message;
            read_bytes_ = 0;
            return true;
        case MessageType::end_of_stream:
            ended_ = true;
            // The peer may be gone by now; it has said all it wanted to.
            static_cast<void>(control_->done());
            return false;
        default:
            return fail(ErrorCode::stream_corrupt, fmt::format("{} came outside of a round ({})",
                                                               to_string((*message)->type), traits_.description));
    }
}

Status RdmaChannel::drain(Instant deadline) {
    return control_->wait_used(deadline);
}

Status RdmaChannel::finish_writing(Instant deadline) {
    if (finished_) {
        return control_->status();
    }
    if (Status sent = control_->send(make_message(MessageType::end_of_stream), deadline); !sent) {
        return sent;
    }
    finished_ = true;
    return {};
}

void RdmaChannel::shutdown() {
    if (finished_ || ended_) {
        return control_->shut_down({});
    }
    control_->shut_down(role_ == Role::source ? "the source ended the connection before its stream was over"
                                              : "the destination ended the connection");
}

}  // namespace godwit::rdma
