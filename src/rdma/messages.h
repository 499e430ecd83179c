#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/channel.h"
#include "godwit/error.h"
#include "godwit/units.h"

namespace godwit::rdma {

/// The control messages: docs/rdma.md is the format's text. Numbers are big-endian. Every decoder checks all it reads
/// and gives `stream_corrupt`.

enum class MessageType : std::uint32_t {
    error = 1,                 ///< the sender gives up; a text says why
    ready = 2,                 ///< the sender can take one more message
    stream = 3,                ///< bytes of the ordinary stream
    ram_blocks_request = 4,    ///< the source's blocks
    ram_blocks_result = 5,     ///< where they lie at the destination
    compress = 6,              ///< pages that read as zeros
    register_request = 7,      ///< chunks that are about to be written to
    register_result = 8,       ///< their keys
    register_finished = 9,     ///< the round is over
    unregister_request = 10,   ///< chunks whose registration is to end
    unregister_finished = 11,  ///< it has ended
    heartbeat = 12,            ///< the sender lives
    end_of_stream = 13,        ///< the ordinary stream has ended in an orderly way
};
inline constexpr std::uint32_t last_message_type = 13;
std::string_view to_string(MessageType type);

/// A message of these types may be sent only after a READY, and the READY for the next comes when it has been used.
bool needs_ready(MessageType type);
/// A message of these types answers a request.
bool is_response(MessageType type);
/// The error for a message that breaks the format or comes where it may not.
tl::unexpected<Error> corrupt_message(MessageType type, std::string_view what);

inline constexpr std::size_t header_bytes = 16;
inline constexpr std::size_t max_payload_bytes = 512 * 1024 - header_bytes;
inline constexpr std::uint32_t max_repeat = 4096;
inline constexpr std::size_t max_error_text_bytes = 1024;

struct Header {
    std::uint32_t payload_bytes = 0;
    MessageType type = MessageType::error;
    /// How many entries the payload has; 1 for what has none.
    std::uint32_t repeat = 1;
};
void encode(const Header& header, std::span<std::byte, header_bytes> out);
/// Checks the type, the limits, and whether a payload of this size can belong to the type.
Result<Header> decode_header(std::span<const std::byte, header_bytes> in);

/// A whole message.
struct Message {
    MessageType type = MessageType::error;
    std::uint32_t repeat = 1;
    std::vector<std::byte> payload;
};

/// Memory is registered in chunks of this size; the last one of a block may be shorter.
inline constexpr std::uint64_t chunk_bytes = 1024 * 1024;
inline constexpr std::uint64_t chunk_pages = chunk_bytes / page_bytes;
/// The index of a chunk within one RAM block.
using ChunkNumber = Quantity<struct ChunkNumberTag>;

/// A block as the source names it. Its index in the request is what later messages use.
struct SourceBlock {
    std::string id;
    ByteCount size;
};
struct RamBlocksRequest {
    bool pin_all = false;
    std::vector<SourceBlock> blocks;
};
/// Where the destination has a block. The key is empty unless everything is pinned.
struct DestinationBlock {
    std::uint64_t host_address = 0;
    ByteCount size;
    std::vector<std::byte> key;
};
struct RamBlocksResult {
    /// How many bytes the destination lets the source keep registered in chunks.
    ByteCount registration_limit;
    std::vector<DestinationBlock> blocks;
};
inline constexpr std::size_t max_blocks = 1024;

/// Pages of one block that follow each other and read as zeros.
struct ZeroRange {
    std::uint32_t block = 0;
    BlockOffset offset;
    ByteCount length;
};
/// `count` chunks of one block that follow each other, at least one.
struct ChunkRange {
    std::uint32_t block = 0;
    ChunkNumber first;
    std::uint64_t count = 0;
};
/// Chunks in one request, so that its answer fits into one message.
inline constexpr std::size_t max_chunks_per_request = 1024;
/// One chunk's key.
struct ChunkKey {
    std::uint64_t host_address = 0;
    std::vector<std::byte> key;
};
/// What the source says of the round that ends.
struct RoundFigures {
    std::uint64_t pages = 0;
    std::uint64_t writes = 0;
};

Message make_message(MessageType type);
Message make_error(std::string_view text);
Message encode(const RamBlocksRequest& request);
Message encode(const RamBlocksResult& result);
Message encode(std::span<const ZeroRange> ranges);
/// `type` is a request of registration or of its end.
Message encode(MessageType type, std::span<const ChunkRange> ranges);
Message encode(std::span<const ChunkKey> keys);
Message encode(const RoundFigures& figures);

/// The text with what cannot be printed replaced.
std::string decode_error(const Message& message);
Result<RamBlocksRequest> decode_ram_blocks_request(const Message& message);
Result<RamBlocksResult> decode_ram_blocks_result(const Message& message);
Result<std::vector<ZeroRange>> decode_compress(const Message& message);
Result<std::vector<ChunkRange>> decode_chunk_ranges(const Message& message);
Result<std::vector<ChunkKey>> decode_register_result(const Message& message);
Result<RoundFigures> decode_register_finished(const Message& message);

}  // namespace godwit::rdma
