#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "rdma/messages.h"

namespace godwit::rdma {

/// Hears what a `MessageParser` finds. An error ends the parsing.
class MessageSink {
public:
    virtual ~MessageSink() = default;
    /// A message begins, and its header is well-formed. Nothing of its payload has been stored.
    virtual Status begins(const Header& header) = 0;
    virtual Status arrived(Message message) = 0;
};

/// Takes a stream of bytes apart into messages, however the bytes are cut. What it keeps grows with what has arrived,
/// not with what a header claims. One thread.
class MessageParser {
public:
    explicit MessageParser(MessageSink& sink) : sink_(sink) {}

    /// Errors: `stream_corrupt`, those of the sink. After one it must not be fed any more.
    Status feed(ConstBuffer bytes);
    /// A message has arrived in part.
    bool in_message() const { return header_filled_bytes_ != 0; }

private:
    Status take_header();
    Status finish_message();

    MessageSink& sink_;
    std::array<std::byte, header_bytes> header_{};
    std::size_t header_filled_bytes_ = 0;
    std::size_t payload_bytes_ = 0;
    /// From the end of its header on.
    std::optional<Message> message_;
};

}  // namespace godwit::rdma
