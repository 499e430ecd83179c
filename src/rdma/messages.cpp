#include "rdma/messages.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "base/printable.h"
#include "rdma/fabric.h"
#include "rdma/payload.h"

namespace godwit::rdma {

namespace {

Message finish(MessageType type, std::size_t repeat, std::vector<std::byte> payload) {
    GODWIT_ASSERT(repeat >= 1 && repeat <= max_repeat && payload.size() <= max_payload_bytes,
                  "a message {} of {} entries and {} bytes", to_string(type), repeat, payload.size());
    return Message{type, static_cast<std::uint32_t>(repeat), std::move(payload)};
}

void put_key(PayloadWriter& writer, ConstBuffer key) {
    GODWIT_ASSERT(key.size() <= max_key_bytes, "a key of {} bytes", key.size());
    writer.put(static_cast<std::uint16_t>(key.size()));
    writer.put_bytes(key);
}

/// Empty when it is too long or not there.
std::vector<std::byte> get_key(PayloadReader& reader, bool& too_long) {
    const auto size = reader.get<std::uint16_t>();
    too_long = size > max_key_bytes;
    if (too_long) {
        return {};
    }
    const ConstBuffer key = reader.get_bytes(size);
    return {key.begin(), key.end()};
}

}  // namespace

Message make_message(MessageType type) {
    return Message{type, 1, {}};
}

Message make_error(std::string_view text) {
    Message message{MessageType::error, 1, {}};
    PayloadWriter(message.payload).put_text(text.substr(0, max_error_text_bytes));
    return message;
}

std::string decode_error(const Message& message) {
    std::string text(message.payload.size(), '\0');
    std::transform(message.payload.begin(), message.payload.end(), text.begin(),
                   [](std::byte byte) { return static_cast<char>(byte); });
    return printable(text);
}

Message encode(const RamBlocksRequest& request) {
    std::vector<std::byte> payload;
    PayloadWriter writer(payload);
    writer.put(std::uint32_t{request.pin_all ? 1U : 0U});
    for (const SourceBlock& block : request.blocks) {
        writer.put(static_cast<std::uint8_t>(block.id.size()));
        writer.put_text(block.id);
        writer.put(block.size.value());
    }
    return finish(MessageType::ram_blocks_request, request.blocks.size(), std::move(payload));
}

Result<RamBlocksRequest> decode_ram_blocks_request(const Message& message) {
    PayloadReader reader(message.payload);
    const auto flags = reader.get<std::uint32_t>();
    if (flags > 1) {
        return corrupt_message(message.type, fmt::format("unknown flags 0x{:x}", flags));
    }
    if (message.repeat > max_blocks) {
        return corrupt_message(message.type, fmt::format("{} blocks", message.repeat));
    }
    RamBlocksRequest request{.pin_all = flags == 1, .blocks = {}};
    for (std::uint32_t i = 0; i < message.repeat; ++i) {
        const ConstBuffer id = reader.get_bytes(reader.get<std::uint8_t>());
        SourceBlock block;
        std::transform(id.begin(), id.end(), std::back_inserter(block.id),
                       [](std::byte byte) { return static_cast<char>(byte); });
        block.size = ByteCount(reader.get<std::uint64_t>());
        request.blocks.push_back(std::move(block));
    }
    if (!reader.complete()) {
        return corrupt_message(message.type, "its length does not fit its entries");
    }
    return request;
}

Message encode(const RamBlocksResult& result) {
    std::vector<std::byte> payload;
    PayloadWriter writer(payload);
    writer.put(result.registration_limit.value());
    for (const DestinationBlock& block : result.blocks) {
        writer.put(block.host_address);
        writer.put(block.size.value());
        put_key(writer, block.key);
    }
    return finish(MessageType::ram_blocks_result, result.blocks.size(), std::move(payload));
}

Result<RamBlocksResult> decode_ram_blocks_result(const Message& message) {
    if (message.repeat > max_blocks) {
        return corrupt_message(message.type, fmt::format("{} blocks", message.repeat));
    }
    PayloadReader reader(message.payload);
    RamBlocksResult result;
    result.registration_limit = ByteCount(reader.get<std::uint64_t>());
    for (std::uint32_t i = 0; i < message.repeat; ++i) {
        DestinationBlock block;
        block.host_address = reader.get<std::uint64_t>();
        block.size = ByteCount(reader.get<std::uint64_t>());
        bool too_long = false;
        block.key = get_key(reader, too_long);
        if (too_long) {
            return corrupt_message(message.type, "a key that is too long");
        }
        result.blocks.push_back(std::move(block));
    }
    if (!reader.complete()) {
        return corrupt_message(message.type, "its length does not fit its entries");
    }
    return result;
}

Message encode(std::span<const ZeroRange> ranges) {
    std::vector<std::byte> payload;
    PayloadWriter writer(payload);
    for (const ZeroRange& range : ranges) {
        writer.put(std::uint32_t{0});  // the value of every byte
        writer.put(range.block);
        writer.put(range.offset.value());
        writer.put(range.length.value());
    }
    return finish(MessageType::compress, ranges.size(), std::move(payload));
}

Result<std::vector<ZeroRange>> decode_compress(const Message& message) {
    PayloadReader reader(message.payload);
    std::vector<ZeroRange> ranges;
    for (std::uint32_t i = 0; i < message.repeat; ++i) {
        if (const auto value = reader.get<std::uint32_t>(); value != 0) {
            return corrupt_message(message.type, fmt::format("pages of 0x{:x}; only zeros are known", value));
        }
        ZeroRange range;
        range.block = reader.get<std::uint32_t>();
        range.offset = BlockOffset(reader.get<std::uint64_t>());
        range.length = ByteCount(reader.get<std::uint64_t>());
        ranges.push_back(range);
    }
    if (!reader.complete()) {
        return corrupt_message(message.type, "its length does not fit its entries");
    }
    return ranges;
}

Message encode(MessageType type, std::span<const ChunkRange> ranges) {
    std::vector<std::byte> payload;
    PayloadWriter writer(payload);
    for (const ChunkRange& range : ranges) {
        writer.put(range.first.value());
        writer.put(range.block);
        writer.put(std::uint32_t{0});
        writer.put(range.count - 1);
    }
    return finish(type, ranges.size(), std::move(payload));
}

Result<std::vector<ChunkRange>> decode_chunk_ranges(const Message& message) {
    PayloadReader reader(message.payload);
    std::vector<ChunkRange> ranges;
    std::uint64_t chunks = 0;
    for (std::uint32_t i = 0; i < message.repeat; ++i) {
        ChunkRange range;
        range.first = ChunkNumber(reader.get<std::uint64_t>());
        range.block = reader.get<std::uint32_t>();
        const auto padding = reader.get<std::uint32_t>();
        const auto further = reader.get<std::uint64_t>();
        if (padding != 0 || further >= max_chunks_per_request) {
            return corrupt_message(message.type, fmt::format("{} further chunks", further));
        }
        range.count = further + 1;
        chunks += range.count;
        ranges.push_back(range);
    }
    if (!reader.complete() || chunks > max_chunks_per_request) {
        return corrupt_message(message.type, fmt::format("{} chunks in {} entries", chunks, message.repeat));
    }
    return ranges;
}

Message encode(std::span<const ChunkKey> keys) {
    std::vector<std::byte> payload;
    PayloadWriter writer(payload);
    for (const ChunkKey& key : keys) {
        writer.put(key.host_address);
        put_key(writer, key.key);
    }
    return finish(MessageType::register_result, keys.size(), std::move(payload));
}

Result<std::vector<ChunkKey>> decode_register_result(const Message& message) {
    if (message.repeat > max_chunks_per_request) {
        return corrupt_message(message.type, fmt::format("{} keys", message.repeat));
    }
    PayloadReader reader(message.payload);
    std::vector<ChunkKey> keys;
    for (std::uint32_t i = 0; i < message.repeat; ++i) {
        ChunkKey key;
        key.host_address = reader.get<std::uint64_t>();
        bool too_long = false;
        key.key = get_key(reader, too_long);
        if (too_long) {
            return corrupt_message(message.type, "a key that is too long");
        }
        keys.push_back(std::move(key));
    }
    if (!reader.complete()) {
        return corrupt_message(message.type, "its length does not fit its entries");
    }
    return keys;
}

Message encode(const RoundFigures& figures) {
    std::vector<std::byte> payload;
    PayloadWriter writer(payload);
    writer.put(figures.pages);
    writer.put(figures.writes);
    return finish(MessageType::register_finished, 1, std::move(payload));
}

Result<RoundFigures> decode_register_finished(const Message& message) {
    PayloadReader reader(message.payload);
    RoundFigures figures;
    figures.pages = reader.get<std::uint64_t>();
    figures.writes = reader.get<std::uint64_t>();
    if (!reader.complete()) {
        return corrupt_message(message.type, "its length does not fit");
    }
    return figures;
}

}  // namespace godwit::rdma
