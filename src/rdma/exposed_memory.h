#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "godwit/direct_pages.h"
#include "io/serving_thread.h"
#include "rdma/fabric.h"
#include "rdma/memory_lock.h"
#include "rdma/messages.h"

namespace godwit::rdma {

/// The destination's memory as far as the source may write to it: its blocks in the source's order, and what of them is
/// registered. Everything that the source asks for is checked here. The loading thread's.
class ExposedMemory {
public:
    /// No more than `registration_limit` is registered in chunks at the same time. `fabric` outlives this. `go_on` is
    /// asked while something takes long, by any thread; what it fails with ends that. `helper` as in `PageTerms`.
    ExposedMemory(Fabric& fabric, ByteCount registration_limit, std::function<Status()> go_on,
                  std::shared_ptr<ServingThread> helper = nullptr)
        : fabric_(fabric),
          registration_limit_(registration_limit),
          go_on_(std::move(go_on)),
          helper_(std::move(helper)) {}

    bool has_blocks() const { return !blocks_.empty(); }
    /// Errors: those of the target; `stream_corrupt` for the same block twice; `cannot_pin`.
    Result<RamBlocksResult> add_blocks(const RamBlocksRequest& request, DirectPageTarget& target);
    /// Errors: `stream_corrupt` for chunks that do not exist or are registered; `cannot_pin` above the limit; of the
    /// fabric.
    Result<std::vector<ChunkKey>> register_chunks(const std::vector<ChunkRange>& ranges, DirectPageTarget& target);
    /// Errors: `stream_corrupt` for chunks that are not registered.
    Status unregister_chunks(const std::vector<ChunkRange>& ranges);

    /// Pages of one block that are alike.
    struct Piece {
        std::size_t index = 0;  // of the block, in the target's list
        PageNumber first;
        PageCount count;
        bool registered = false;
    };
    /// Errors: `stream_corrupt` unless they are whole pages of a block.
    Status check(const ZeroRange& range) const;
    /// The pages from `first` on that are all registered or all not, of a range that has been checked; not too many.
    Piece piece(const ZeroRange& range, PageNumber first) const;

    std::uint64_t registrations() const { return registrations_; }
    std::uint64_t registered_bytes() const { return registered_bytes_; }

private:
    /// A block by the source's index.
    struct Block {
        std::size_t index = 0;  // in the target's list
        std::byte* host = nullptr;
        ByteCount size;
        std::vector<std::unique_ptr<RegisteredMemory>> chunks;
        std::unique_ptr<RegisteredMemory> whole;
    };

    Status pin(DirectPageTarget& target);
    Status check(const ChunkRange& range) const;
    Result<ChunkKey> register_chunk(Block& block, ChunkNumber chunk, DirectPageTarget& target);
    static MutableBuffer memory_of(const Block& block, ChunkNumber chunk);
    bool is_registered(const Block& block, std::uint64_t page) const {
        return block.whole || block.chunks[page / chunk_pages];
    }

    Fabric& fabric_;
    const ByteCount registration_limit_;
    const std::function<Status()> go_on_;
    const std::shared_ptr<ServingThread> helper_;
    std::unique_ptr<MemoryLock> lock_;
    std::vector<Block> blocks_;
    std::uint64_t registrations_ = 0;
    std::uint64_t registered_bytes_ = 0;
};

}  // namespace godwit::rdma
