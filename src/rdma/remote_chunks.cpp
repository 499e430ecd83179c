#include "rdma/remote_chunks.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace godwit::rdma {

namespace {

/// Enough for the answer to be there before the writes to the chunks asked for before are done; few enough for a slow
/// network to write what waits for two requests within one deadline.
constexpr std::size_t chunks_per_request = 4;
static_assert(chunks_per_request <= max_chunks_per_request);

tl::unexpected<Error> contradiction(const std::string& what) {
    return fail(ErrorCode::stream_corrupt, "the destination contradicts itself: " + what);
}

}  // namespace

RemoteChunks::RemoteChunks(Fabric& fabric, std::span<const RamBlock> blocks, ByteCount own_limit)
    : fabric_(fabric), own_limit_bytes_(own_limit.value()) {
    for (const RamBlock& block : blocks) {
        const std::uint64_t chunks = (block.size.value() + chunk_bytes - 1) / chunk_bytes;
        Block known;
        known.local = &block;
        known.chunks.resize(chunks);
        known.pending.resize(chunks, false);
        blocks_.push_back(std::move(known));
    }
}

Status RemoteChunks::set_blocks(const RamBlocksResult& result, bool pin_all) {
    if (result.blocks.size() != blocks_.size()) {
        return contradiction(fmt::format("{} RAM blocks instead of {}", result.blocks.size(), blocks_.size()));
    }
    limit_bytes_ = std::min(result.registration_limit.value(), own_limit_bytes_);
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
        const DestinationBlock& told = result.blocks[i];
        const RamBlock& local = *blocks_[i].local;
        if (told.size != local.size || told.host_address % page_bytes != 0 ||
            told.host_address + told.size.value() < told.host_address || told.key.empty() == pin_all) {
            return contradiction(fmt::format("RAM block \"{}\" of {} bytes at 0x{:x} with a key of {} bytes", local.id,
                                             told.size.value(), told.host_address, told.key.size()));
        }
        blocks_[i].address = RemoteAddress{told.host_address};
        if (!pin_all) {
            continue;
        }
        if (Status known = make_known(blocks_[i].whole, {local.host, local.size.value()}, told.key); !known) {
            return known;
        }
        ++registrations_;
        registered_bytes_ += local.size.value();
    }
    return {};
}

const RemoteMemory* RemoteChunks::memory(const PageRun& run) const {
    const Block& block = blocks_[run.block];
    return block.whole.there ? block.whole.there.get() : block.chunks[run.chunk().value()].there.get();
}

RemoteAddress RemoteChunks::address(const PageRun& run) const {
    return blocks_[run.block].address + offset_of(run.first).value();
}

void RemoteChunks::want(std::size_t block, ChunkNumber chunk) {
    Block& known = blocks_[block];
    GODWIT_ASSERT(!known.whole.there && !known.chunks[chunk.value()].there,
                  "chunk {} of block {} is registered already", chunk.value(), block);
    if (!known.pending[chunk.value()]) {
        known.pending[chunk.value()] = true;
        wanted_.push_back({block, chunk});
    }
}

std::size_t RemoteChunks::batch_limit() const {
    return std::clamp<std::uint64_t>(limit_bytes_ / chunk_bytes, 1, chunks_per_request);
}

std::vector<ChunkRange> RemoteChunks::ranges_of(std::span<const ChunkId> ids) {
    std::vector<ChunkRange> ranges;
    for (const ChunkId& id : ids) {
        if (!ranges.empty() && ranges.back().block == id.block &&
            ranges.back().first.value() + ranges.back().count == id.chunk.value()) {
            ++ranges.back().count;
        } else {
            ranges.push_back({static_cast<std::uint32_t>(id.block), id.chunk, 1});
        }
    }
    return ranges;
}

std::vector<ChunkRange> RemoteChunks::ask() {
    GODWIT_ASSERT(asked_.empty(), "{} chunks have been asked for and not answered", asked_.size());
    asked_ = std::exchange(wanted_, {});
    return ranges_of(asked_);
}

Status RemoteChunks::answer(const std::vector<ChunkKey>& keys) {
    if (keys.size() != asked_.size()) {
        return contradiction(fmt::format("{} keys for {} chunks", keys.size(), asked_.size()));
    }
    for (std::size_t i = 0; i < keys.size(); ++i) {
        const ChunkId id = asked_[i];
        Block& block = blocks_[id.block];
        const RemoteAddress expected = block.address + id.chunk.value() * chunk_bytes;
        if (keys[i].host_address != expected.value || keys[i].key.empty()) {
            return contradiction(fmt::format(
                "chunk {} of RAM block \"{}\" at 0x{:x}, which should be at 0x{:x}, with a key of {} bytes",
                id.chunk.value(), block.local->id, keys[i].host_address, expected.value, keys[i].key.size()));
        }
        const MutableBuffer here{block.local->host + id.chunk.value() * chunk_bytes, bytes_of(id).value()};
        if (Status known = make_known(block.chunks[id.chunk.value()], here, keys[i].key); !known) {
            return known;
        }
        block.pending[id.chunk.value()] = false;
        registered_.push_back(id);
        ++registrations_;
        registered_bytes_ += bytes_of(id).value();
    }
    asked_.clear();
    return {};
}

Status RemoteChunks::make_known(Piece& piece, MutableBuffer memory, ConstBuffer key) {
    Result<std::unique_ptr<RegisteredMemory>> here = fabric_.register_memory(memory);
    if (!here) {
        return fail(here.error());
    }
    Result<std::unique_ptr<RemoteMemory>> there = fabric_.open_key(key);
    if (!there) {
        return fail(there.error());
    }
    piece = {std::move(*here), std::move(*there)};
    return {};
}

ByteCount RemoteChunks::bytes_of(const ChunkId& id) const {
    const std::uint64_t begin = id.chunk.value() * chunk_bytes;
    return ByteCount(std::min(chunk_bytes, blocks_[id.block].local->size.value() - begin));
}

bool RemoteChunks::needs_room() const {
    std::uint64_t bytes = registered_bytes_;
    for (const ChunkId& id : wanted_) {
        bytes += bytes_of(id).value();
    }
    return !registered_.empty() && bytes > limit_bytes_;
}

std::vector<ChunkRange> RemoteChunks::make_room() {
    std::vector<ChunkId> leaving;
    while (needs_room() && leaving.size() < max_chunks_per_request) {
        const ChunkId oldest = registered_.front();
        registered_.pop_front();
        blocks_[oldest.block].chunks[oldest.chunk.value()] = {};
        registered_bytes_ -= bytes_of(oldest).value();
        leaving.push_back(oldest);
    }
    return ranges_of(leaving);
}

}  // namespace godwit::rdma
