#include "rdma/message_parser.h"

#include <algorithm>
#include <utility>

namespace godwit::rdma {

Status MessageParser::feed(ConstBuffer bytes) {
    while (!bytes.empty()) {
        if (!message_) {
            const std::size_t count = std::min(bytes.size(), header_bytes - header_filled_bytes_);
            std::copy_n(bytes.begin(), count, header_.begin() + static_cast<std::ptrdiff_t>(header_filled_bytes_));
            header_filled_bytes_ += count;
            bytes = bytes.subspan(count);
            if (header_filled_bytes_ < header_bytes) {
                return {};
            }
            if (Status begun = take_header(); !begun) {
                return begun;
            }
        }
        const std::size_t count = std::min(bytes.size(), payload_bytes_ - message_->payload.size());
        const ConstBuffer part = bytes.first(count);
        message_->payload.insert(message_->payload.end(), part.begin(), part.end());
        bytes = bytes.subspan(count);
        if (message_->payload.size() == payload_bytes_) {
            if (Status finished = finish_message(); !finished) {
                return finished;
            }
        }
    }
    return {};
}

Status MessageParser::take_header() {
    const Result<Header> header = decode_header(header_);
    if (!header) {
        return fail(header.error());
    }
    if (Status begun = sink_.begins(*header); !begun) {
        return begun;
    }
    payload_bytes_ = header->payload_bytes;
    message_ = Message{header->type, header->repeat, {}};
    return {};
}

Status MessageParser::finish_message() {
    header_filled_bytes_ = 0;
    return sink_.arrived(*std::exchange(message_, std::nullopt));
}

}  // namespace godwit::rdma
