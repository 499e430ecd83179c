// What all control messages have in common: their types and their head.
#include <fmt/format.h>

#include <algorithm>

#include "rdma/messages.h"
#include "rdma/payload.h"

namespace godwit::rdma {

namespace {

constexpr std::size_t zero_range_bytes = 24;
constexpr std::size_t chunk_range_bytes = 24;
constexpr std::size_t round_figures_bytes = 16;

/// The sizes that a payload of `type` may have.
struct PayloadLimits {
    std::size_t least;
    std::size_t most;
    /// Of one entry; 0: not fixed.
    std::size_t entry = 0;
    /// The payload may consist of several.
    bool has_entries = false;
};

PayloadLimits payload_limits(MessageType type) {
    switch (type) {
        case MessageType::error:
            return {.least = 0, .most = max_error_text_bytes};
        case MessageType::ready:
        case MessageType::unregister_finished:
        case MessageType::heartbeat:
        case MessageType::end_of_stream:
            return {.least = 0, .most = 0};
        case MessageType::stream:
            return {.least = 1, .most = max_payload_bytes};
        case MessageType::ram_blocks_request:
        case MessageType::ram_blocks_result:
        case MessageType::register_result:
            return {.least = 1, .most = max_payload_bytes, .entry = 0, .has_entries = true};
        case MessageType::compress:
            return {
                .least = zero_range_bytes, .most = max_payload_bytes, .entry = zero_range_bytes, .has_entries = true};
        case MessageType::register_request:
        case MessageType::unregister_request:
            return {
                .least = chunk_range_bytes, .most = max_payload_bytes, .entry = chunk_range_bytes, .has_entries = true};
        case MessageType::register_finished:
            return {.least = round_figures_bytes, .most = round_figures_bytes};
    }
    return {.least = 0, .most = 0};
}

}  // namespace

std::string_view to_string(MessageType type) {
    switch (type) {
        case MessageType::error:
            return "ERROR";
        case MessageType::ready:
            return "READY";
        case MessageType::stream:
            return "STREAM";
        case MessageType::ram_blocks_request:
            return "RAM_BLOCKS_REQUEST";
        case MessageType::ram_blocks_result:
            return "RAM_BLOCKS_RESULT";
        case MessageType::compress:
            return "COMPRESS";
        case MessageType::register_request:
            return "REGISTER_REQUEST";
        case MessageType::register_result:
            return "REGISTER_RESULT";
        case MessageType::register_finished:
            return "REGISTER_FINISHED";
        case MessageType::unregister_request:
            return "UNREGISTER_REQUEST";
        case MessageType::unregister_finished:
            return "UNREGISTER_FINISHED";
        case MessageType::heartbeat:
            return "HEARTBEAT";
        case MessageType::end_of_stream:
            return "END_OF_STREAM";
    }
    return "unknown";
}

tl::unexpected<Error> corrupt_message(MessageType type, std::string_view what) {
    return fail(ErrorCode::stream_corrupt, fmt::format("RDMA message {}: {}", to_string(type), what));
}

bool needs_ready(MessageType type) {
    switch (type) {
        case MessageType::stream:
        case MessageType::ram_blocks_request:
        case MessageType::compress:
        case MessageType::register_request:
        case MessageType::register_finished:
        case MessageType::unregister_request:
        case MessageType::end_of_stream:
            return true;
        default:
            return false;
    }
}

bool is_response(MessageType type) {
    return type == MessageType::ram_blocks_result || type == MessageType::register_result ||
           type == MessageType::unregister_finished;
}

void encode(const Header& header, std::span<std::byte, header_bytes> out) {
    std::vector<std::byte> bytes;
    PayloadWriter writer(bytes);
    writer.put(header.payload_bytes);
    writer.put(static_cast<std::uint32_t>(header.type));
    writer.put(header.repeat);
    writer.put(std::uint32_t{0});
    std::copy(bytes.begin(), bytes.end(), out.begin());
}

Result<Header> decode_header(std::span<const std::byte, header_bytes> in) {
    PayloadReader reader(in);
    const auto payload_bytes = reader.get<std::uint32_t>();
    const auto type = reader.get<std::uint32_t>();
    const auto repeat = reader.get<std::uint32_t>();
    const auto padding = reader.get<std::uint32_t>();
    if (type == 0 || type > last_message_type) {
        return fail(ErrorCode::stream_corrupt, fmt::format("RDMA message of the unknown type {}", type));
    }
    if (padding != 0) {
        return corrupt_message(static_cast<MessageType>(type),
                               fmt::format("its head ends with {} instead of 0", padding));
    }
    const Header header{payload_bytes, static_cast<MessageType>(type), repeat};
    const PayloadLimits limits = payload_limits(header.type);
    if (payload_bytes < limits.least || payload_bytes > limits.most) {
        return corrupt_message(header.type, fmt::format("a payload of {} bytes", payload_bytes));
    }
    const std::uint32_t most = limits.has_entries ? max_repeat : 1;
    if (repeat == 0 || repeat > most || (limits.entry != 0 && payload_bytes != repeat * limits.entry)) {
        return corrupt_message(header.type, fmt::format("{} entries in {} bytes", repeat, payload_bytes));
    }
    return header;
}

}  // namespace godwit::rdma
