#include "rdma/exposed_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace godwit::rdma {

namespace {

/// What is made zeros at once, before the connection is looked at again.
constexpr std::uint64_t longest_piece_pages = 16 * 1024;

tl::unexpected<Error> wrong(std::string what) {
    return fail(ErrorCode::stream_corrupt, "the source asks for the impossible: " + std::move(what));
}

std::uint64_t address_of(const std::byte* host) {
    return reinterpret_cast<std::uint64_t>(host);
}

}  // namespace

Result<RamBlocksResult> ExposedMemory::add_blocks(const RamBlocksRequest& request, DirectPageTarget& target) {
    for (const SourceBlock& wanted : request.blocks) {
        const Result<std::size_t> index = target.find_block(wanted.id, wanted.size);
        if (!index) {
            return fail(index.error());
        }
        const auto same = [&](const Block& other) { return other.index == *index; };
        if (std::any_of(blocks_.begin(), blocks_.end(), same)) {
            return wrong("a RAM block comes twice");
        }
        Block block;
        block.index = *index;
        block.host = target.blocks()[*index].host;
        block.size = wanted.size;
        block.chunks.resize((wanted.size.value() + chunk_bytes - 1) / chunk_bytes);
        blocks_.push_back(std::move(block));
    }
    if (request.pin_all) {
        if (Status pinned = pin(target); !pinned) {
            return fail(pinned.error());
        }
    }
    RamBlocksResult result{.registration_limit = registration_limit_, .blocks = {}};
    for (const Block& block : blocks_) {
        DestinationBlock told{address_of(block.host), block.size, {}};
        if (block.whole) {
            told.key.assign(block.whole->key().begin(), block.whole->key().end());
        }
        result.blocks.push_back(std::move(told));
    }
    return result;
}

Status ExposedMemory::pin(DirectPageTarget& target) {
    std::vector<MutableBuffer> pieces;
    for (const Block& block : blocks_) {
        pieces.emplace_back(block.host, block.size.value());
    }
    Result<std::unique_ptr<MemoryLock>> locked;
    run_by(helper_.get(), [&] { locked = MemoryLock::lock(pieces, go_on_); });
    if (!locked) {
        return fail(locked.error());
    }
    lock_ = std::move(*locked);
    for (Block& block : blocks_) {
        Result<std::unique_ptr<RegisteredMemory>> whole = fabric_.register_memory({block.host, block.size.value()});
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

Status ExposedMemory::check(const ZeroRange& range) const {
    const std::uint64_t offset = range.offset.value();
    const std::uint64_t length = range.length.value();
    const bool whole_pages = offset % page_bytes == 0 && length % page_bytes == 0 && length > 0;
    if (whole_pages && range.block < blocks_.size() && offset <= blocks_[range.block].size.value() &&
        length <= blocks_[range.block].size.value() - offset) {
        return {};
    }
    return wrong(fmt::format("zeros in {} bytes at 0x{:x} of RAM block {}, which are no whole pages there", length,
                             offset, range.block));
}

ExposedMemory::Piece ExposedMemory::piece(const ZeroRange& range, PageNumber first) const {
    const Block& block = blocks_[range.block];
    const std::uint64_t end = (range.offset.value() + range.length.value()) / page_bytes;
    const bool registered = is_registered(block, first.value());
    std::uint64_t next = first.value();
    while (next < end && next - first.value() < longest_piece_pages && is_registered(block, next) == registered) {
        next = std::min(end, (next / chunk_pages + 1) * chunk_pages);
    }
    return {block.index, first, PageCount(next - first.value()), registered};
}

Status ExposedMemory::check(const ChunkRange& range) const {
    const bool inside = range.block < blocks_.size() && range.first.value() < blocks_[range.block].chunks.size() &&
                        range.count <= blocks_[range.block].chunks.size() - range.first.value();
    if (inside && !blocks_[range.block].whole) {
        return {};
    }
    return wrong(fmt::format("chunks {}+{} of RAM block {}: {}", range.first.value(), range.count, range.block,
                             inside ? "everything is registered" : "they do not exist"));
}

MutableBuffer ExposedMemory::memory_of(const Block& block, ChunkNumber chunk) {
    const std::uint64_t begin = chunk.value() * chunk_bytes;
    return {block.host + begin, std::min(chunk_bytes, block.size.value() - begin)};
}

Result<std::vector<ChunkKey>> ExposedMemory::register_chunks(const std::vector<ChunkRange>& ranges,
                                                             DirectPageTarget& target) {
    std::vector<ChunkKey> keys;
    for (const ChunkRange& range : ranges) {
        if (Status fits = check(range); !fits) {
            return fail(fits.error());
        }
        for (std::uint64_t i = 0; i < range.count; ++i) {
            Result<ChunkKey> key = register_chunk(blocks_[range.block], ChunkNumber(range.first.value() + i), target);
            if (!key) {
                return fail(key.error());
            }
            keys.push_back(std::move(*key));
        }
    }
    return keys;
}

Result<ChunkKey> ExposedMemory::register_chunk(Block& block, ChunkNumber chunk, DirectPageTarget& target) {
    std::unique_ptr<RegisteredMemory>& known = block.chunks[chunk.value()];
    if (known) {
        return wrong(fmt::format("chunk {} registered a second time", chunk.value()));
    }
    const MutableBuffer memory = memory_of(block, chunk);
    if (memory.size() > registration_limit_.value() - registered_bytes_) {
        return fail(ErrorCode::cannot_pin,
                    fmt::format("{} bytes of memory are registered and {} more are needed, but only {} may be",
                                registered_bytes_, memory.size(), registration_limit_.value()),
                    "raise the limit of locked memory at the destination (ulimit -l, LimitMEMLOCK=)");
    }
    Result<std::unique_ptr<RegisteredMemory>> registered = fabric_.register_memory(memory);
    if (!registered) {
        return fail(registered.error());
    }
    known = std::move(*registered);
    ++registrations_;
    registered_bytes_ += memory.size();
    target.exposed(block.index, PageNumber(chunk.value() * chunk_pages), pages_in(ByteCount(memory.size())));
    return ChunkKey{address_of(memory.data()), {known->key().begin(), known->key().end()}};
}

Status ExposedMemory::unregister_chunks(const std::vector<ChunkRange>& ranges) {
    for (const ChunkRange& range : ranges) {
        if (Status fits = check(range); !fits) {
            return fits;
        }
        Block& block = blocks_[range.block];
        for (std::uint64_t i = 0; i < range.count; ++i) {
            const ChunkNumber chunk(range.first.value() + i);
            if (!block.chunks[chunk.value()]) {
                return wrong(fmt::format("the end of chunk {}, which is not registered", chunk.value()));
            }
            block.chunks[chunk.value()].reset();
            registered_bytes_ -= memory_of(block, chunk).size();
        }
    }
    return {};
}

}  // namespace godwit::rdma
