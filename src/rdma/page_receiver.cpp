#include "rdma/page_receiver.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace godwit::rdma {

namespace {

/// What is made zeros at once, before the connection is looked at again.
constexpr std::uint64_t longest_zero_pages = 16 * 1024;

tl::unexpected<Error> wrong(const Message& message, const std::string& what) {
    return fail(ErrorCode::stream_corrupt, fmt::format("RDMA message {}: {}", to_string(message.type), what));
}

}  // namespace

PageReceiver::PageReceiver(ControlConnection& control, std::unique_ptr<Fabric> fabric, ByteCount registration_limit)
    : control_(control), fabric_(std::move(fabric)), registration_limit_(registration_limit) {}

PageReceiver::~PageReceiver() {
    close();
}

void PageReceiver::close() {
    blocks_.clear();
    fabric_.reset();
    lock_.reset();
}

std::optional<ByteCount> PageReceiver::pin_limit() const {
    return rdma::pin_limit();
}

DirectPageFigures PageReceiver::figures() const {
    return {.transferred_bytes = transferred_bytes_,
            .pages = pages_,
            .registrations = registrations_,
            .registered_bytes = registered_bytes_,
            .pin_all = pin_all_};
}

Status PageReceiver::serve_round(DirectPageTarget& target) {
    if (!fabric_) {
        return fail(ErrorCode::wrong_state, "the way for pages is closed");
    }
    for (;;) {
        Result<Message*> message = next_message();
        if (!message) {
            return fail(message.error());
        }
        message_bytes_ += header_bytes + (*message)->payload.size();
        const Result<bool> over = handle(**message, target);
        if (!over) {
            return fail(over.error());
        }
        if (Status done = control_.done(); !done || *over) {
            return done;
        }
    }
}

/// Keeps the fabric going meanwhile: writes may need this side's help.
Result<Message*> PageReceiver::next_message() {
    for (;;) {
        const Result<bool> moved = fabric_->progress(finished_);
        if (!moved) {
            return fail(moved.error());
        }
        if (*moved || !fabric_->arm()) {
            if (Status fine = control_.status(); !fine) {
                return fail(fine.error());
            }
            continue;
        }
        Result<Message*> message = control_.receive(never, fabric_->descriptor());
        if (!message || *message != nullptr) {
            return message;
        }
    }
}

Result<bool> PageReceiver::handle(const Message& message, DirectPageTarget& target) {
    Status handled;
    if (blocks_.empty() && message.type != MessageType::ram_blocks_request) {
        return wrong(message, "it comes before the RAM blocks are known");
    }
    switch (message.type) {
        case MessageType::ram_blocks_request:
            handled = find_blocks(message, target);
            break;
        case MessageType::compress:
            handled = make_zero(message, target);
            break;
        case MessageType::register_request:
            handled = register_chunks(message, target);
            break;
        case MessageType::unregister_request:
            handled = unregister_chunks(message);
            break;
        case MessageType::register_finished:
            handled = finish_round(message);
            break;
        default:
            handled = wrong(message, "not while pages are written");
            break;
    }
    if (!handled) {
        return fail(handled.error());
    }
    return message.type == MessageType::register_finished;
}

Status PageReceiver::answer(const Message& message) {
    return control_.send(message, never);
}

Status PageReceiver::find_blocks(const Message& message, DirectPageTarget& target) {
    if (!blocks_.empty()) {
        return wrong(message, "it comes twice");
    }
    const Result<RamBlocksRequest> request = decode_ram_blocks_request(message);
    if (!request) {
        return fail(request.error());
    }
    std::vector<Block> blocks;
    for (const SourceBlock& wanted : request->blocks) {
        const Result<std::size_t> index = target.find_block(wanted.id, wanted.size);
        if (!index) {
            return fail(index.error());
        }
        const auto same = [&](const Block& other) { return other.index == *index; };
        if (std::any_of(blocks.begin(), blocks.end(), same)) {
            return wrong(message, "a RAM block comes twice");
        }
        Block block;
        block.index = *index;
        block.host = target.blocks()[*index].host;
        block.size = wanted.size;
        block.chunks.resize((wanted.size.value() + chunk_bytes - 1) / chunk_bytes);
        blocks.push_back(std::move(block));
    }
    blocks_ = std::move(blocks);
    if (request->pin_all) {
        if (Status pinned = pin(target); !pinned) {
            return pinned;
        }
    }
    RamBlocksResult result{.registration_limit = registration_limit_, .blocks = {}};
    for (const Block& block : blocks_) {
        DestinationBlock told{reinterpret_cast<std::uint64_t>(block.host), block.size, {}};
        if (block.whole) {
            told.key.assign(block.whole->key().begin(), block.whole->key().end());
        }
        result.blocks.push_back(std::move(told));
    }
    return answer(encode(result));
}

Status PageReceiver::pin(DirectPageTarget& target) {
    pin_all_ = true;
    std::vector<MutableBuffer> pieces;
    for (const Block& block : blocks_) {
        pieces.emplace_back(block.host, block.size.value());
    }
    Result<std::unique_ptr<MemoryLock>> locked = MemoryLock::lock(std::move(pieces));
    if (!locked) {
        return fail(locked.error());
    }
    lock_ = std::move(*locked);
    for (Block& block : blocks_) {
        Result<std::unique_ptr<RegisteredMemory>> whole = fabric_->register_memory({block.host, block.size.value()});
        if (!whole) {
            return fail(whole.error());
        }
        block.whole = std::move(*whole);
        ++registrations_;
        registered_bytes_ += block.size.value();
        target.exposed(block.index, PageNumber(0), pages_in(block.size));
    }
    return {};
}

Status PageReceiver::make_zero(const Message& message, DirectPageTarget& target) {
    const Result<std::vector<ZeroRange>> ranges = decode_compress(message);
    if (!ranges) {
        return fail(ranges.error());
    }
    for (const ZeroRange& range : *ranges) {
        const std::uint64_t offset = range.offset.value();
        const std::uint64_t length = range.length.value();
        if (range.block >= blocks_.size() || offset % page_bytes != 0 || length % page_bytes != 0 || length == 0 ||
            offset > blocks_[range.block].size.value() || length > blocks_[range.block].size.value() - offset) {
            return wrong(message, fmt::format("no {} bytes of whole pages at 0x{:x} of RAM block {}", length, offset,
                                              range.block));
        }
        if (Status zeroed = make_zero(range, target); !zeroed) {
            return zeroed;
        }
    }
    return {};
}

/// Piece by piece of chunks that are alike registered or not.
Status PageReceiver::make_zero(const ZeroRange& range, DirectPageTarget& target) {
    const Block& block = blocks_[range.block];
    const auto is_registered = [&](std::uint64_t page) { return block.whole || block.chunks[page / chunk_pages]; };
    const std::uint64_t end = (range.offset.value() + range.length.value()) / page_bytes;
    for (std::uint64_t first = page_at(range.offset).value(); first < end;) {
        const bool registered = is_registered(first);
        std::uint64_t next = first;
        while (next < end && next - first < longest_zero_pages && is_registered(next) == registered) {
            next = std::min(end, (next / chunk_pages + 1) * chunk_pages);
        }
        if (Status zeroed = target.zero_pages(block.index, PageNumber(first), PageCount(next - first), registered);
            !zeroed) {
            return zeroed;
        }
        if (Status fine = control_.status(); !fine) {
            return fine;
        }
        first = next;
    }
    return {};
}

Status PageReceiver::check_range(const ChunkRange& range) const {
    const bool inside = range.block < blocks_.size() && range.first.value() < blocks_[range.block].chunks.size() &&
                        range.count <= blocks_[range.block].chunks.size() - range.first.value();
    if (inside && !blocks_[range.block].whole) {
        return {};
    }
    return fail(ErrorCode::stream_corrupt,
                fmt::format("the source wants chunks {}+{} of RAM block {}: {}", range.first.value(), range.count,
                            range.block, inside ? "everything is registered" : "they do not exist"));
}

MutableBuffer PageReceiver::memory_of(const Block& block, ChunkNumber chunk) {
    const std::uint64_t begin = chunk.value() * chunk_bytes;
    return {block.host + begin, std::min(chunk_bytes, block.size.value() - begin)};
}

Status PageReceiver::register_chunks(const Message& message, DirectPageTarget& target) {
    const Result<std::vector<ChunkRange>> ranges = decode_chunk_ranges(message);
    if (!ranges) {
        return fail(ranges.error());
    }
    std::vector<ChunkKey> keys;
    for (const ChunkRange& range : *ranges) {
        if (Status fits = check_range(range); !fits) {
            return fits;
        }
        for (std::uint64_t i = 0; i < range.count; ++i) {
            Result<ChunkKey> key = register_chunk(blocks_[range.block], ChunkNumber(range.first.value() + i), target);
            if (!key) {
                return fail(key.error());
            }
            keys.push_back(std::move(*key));
        }
    }
    return answer(encode(keys));
}

Result<ChunkKey> PageReceiver::register_chunk(Block& block, ChunkNumber chunk, DirectPageTarget& target) {
    std::unique_ptr<RegisteredMemory>& known = block.chunks[chunk.value()];
    if (known) {
        return fail(ErrorCode::stream_corrupt,
                    fmt::format("the source registers chunk {} a second time", chunk.value()));
    }
    const MutableBuffer memory = memory_of(block, chunk);
    if (memory.size() > registration_limit_.value() - registered_bytes_) {
        return fail(ErrorCode::cannot_pin,
                    fmt::format("{} bytes of memory are registered and {} more are needed, but only {} may be",
                                registered_bytes_.load(), memory.size(), registration_limit_.value()),
                    "raise the limit of locked memory at the destination (ulimit -l, LimitMEMLOCK)");
    }
    Result<std::unique_ptr<RegisteredMemory>> registered = fabric_->register_memory(memory);
    if (!registered) {
        return fail(registered.error());
    }
    known = std::move(*registered);
    ++registrations_;
    registered_bytes_ += memory.size();
    target.exposed(block.index, PageNumber(chunk.value() * chunk_pages), pages_in(ByteCount(memory.size())));
    return ChunkKey{reinterpret_cast<std::uint64_t>(memory.data()), {known->key().begin(), known->key().end()}};
}

Status PageReceiver::unregister_chunks(const Message& message) {
    const Result<std::vector<ChunkRange>> ranges = decode_chunk_ranges(message);
    if (!ranges) {
        return fail(ranges.error());
    }
    for (const ChunkRange& range : *ranges) {
        if (Status fits = check_range(range); !fits) {
            return fits;
        }
        Block& block = blocks_[range.block];
        for (std::uint64_t i = 0; i < range.count; ++i) {
            const ChunkNumber chunk(range.first.value() + i);
            if (!block.chunks[chunk.value()]) {
                return wrong(message, fmt::format("chunk {} is not registered", chunk.value()));
            }
            block.chunks[chunk.value()].reset();
            registered_bytes_ -= memory_of(block, chunk).size();
        }
    }
    return answer(make_message(MessageType::unregister_finished));
}

Status PageReceiver::finish_round(const Message& message) {
    const Result<RoundFigures> figures = decode_register_finished(message);
    if (!figures) {
        return fail(figures.error());
    }
    pages_ += figures->pages;
    transferred_bytes_ = pages_ * page_bytes + message_bytes_;
    return {};
}

}  // namespace godwit::rdma
