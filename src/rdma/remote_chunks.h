#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "godwit/guest_memory.h"
#include "rdma/fabric.h"
#include "rdma/page_run.h"

namespace godwit::rdma {

/// What the source knows of the destination's memory: where its blocks lie, and the keys of what is registered, which
/// are those of chunks or, with everything pinned, of whole blocks. The same pieces are registered here, for a device
/// reads them. It keeps the registered bytes below a limit: then the chunks that were registered first have to go. The
/// migration thread's.
class RemoteChunks {
public:
    /// `blocks` outlive this. No more than `own_limit` is registered here.
    RemoteChunks(Fabric& fabric, std::span<const RamBlock> blocks, ByteCount own_limit);

    /// Takes what the destination said of its blocks. Errors: `stream_corrupt`; those of the fabric for a key.
    Status set_blocks(const RamBlocksResult& result, bool pin_all);

    /// Null: not registered.
    const RemoteMemory* memory(const PageRun& run) const;
    RemoteAddress address(const PageRun& run) const;

    /// The chunk, which is not registered, is going to be written to. Does nothing where that is known.
    void want(std::size_t block, ChunkNumber chunk);
    /// So many chunks are wanted that it is time to ask for them.
    bool wants_enough() const { return wanted_.size() >= batch_limit(); }
    bool wants_any() const { return !wanted_.empty(); }

    /// What is wanted does not fit under the limit beside what is registered.
    bool needs_room() const;
    /// Forgets the chunks that were registered first, until there is room: the destination has to be told. No write to
    /// them may be on its way or come.
    std::vector<ChunkRange> make_room();

    /// Asks for what is wanted: the request, which must be answered before the next.
    std::vector<ChunkRange> ask();
    bool is_asking() const { return !asked_.empty(); }
    /// Takes the answer. Errors: as for `set_blocks`.
    Status answer(const std::vector<ChunkKey>& keys);

    std::uint64_t registrations() const { return registrations_; }
    std::uint64_t registered_bytes() const { return registered_bytes_; }

private:
    /// A piece of memory, known to both sides' fabrics.
    struct Piece {
        std::unique_ptr<RegisteredMemory> here;
        std::unique_ptr<RemoteMemory> there;
    };
    struct Block {
        const RamBlock* local = nullptr;
        RemoteAddress address;
        Piece whole;
        std::vector<Piece> chunks;
        std::vector<bool> pending;  // wanted or asked for
    };
    struct ChunkId {
        std::size_t block = 0;
        ChunkNumber chunk;
    };

    /// `memory` is this side's.
    Status make_known(Piece& piece, MutableBuffer memory, ConstBuffer key);
    ByteCount bytes_of(const ChunkId& id) const;
    std::size_t batch_limit() const;
    static std::vector<ChunkRange> ranges_of(std::span<const ChunkId> ids);

    Fabric& fabric_;
    const std::uint64_t own_limit_bytes_;
    std::vector<Block> blocks_;
    std::vector<ChunkId> wanted_;
    std::vector<ChunkId> asked_;
    std::deque<ChunkId> registered_;  // the oldest comes first
    std::uint64_t limit_bytes_ = 0;
    std::uint64_t registrations_ = 0;
    std::uint64_t registered_bytes_ = 0;
};

}  // namespace godwit::rdma
