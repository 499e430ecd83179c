#pragma once

#include <atomic>
#include <limits>
#include <memory>
#include <vector>

#include "godwit/direct_pages.h"
#include "rdma/control_connection.h"
#include "rdma/fabric.h"
#include "rdma/memory_lock.h"
#include "rdma/messages.h"

namespace godwit::rdma {

/// The destination's end of the direct way: registers memory as the source asks for it, and keeps the fabric going
/// while the source writes. Nothing that the source says is taken unchecked.
class PageReceiver : public DirectPageReceiver {
public:
    static constexpr ByteCount no_limit{std::numeric_limits<std::uint64_t>::max()};

    /// `control` outlives this. No more than `registration_limit` is registered in chunks at the same time.
    PageReceiver(ControlConnection& control, std::unique_ptr<Fabric> fabric, ByteCount registration_limit = no_limit);
    ~PageReceiver() override;

    Status serve_round(DirectPageTarget& target) override;
    void close() override;
    std::optional<ByteCount> pin_limit() const override;
    DirectPageFigures figures() const override;

private:
    /// A block by the source's index.
    struct Block {
        std::size_t index = 0;  // in the target's list
        std::byte* host = nullptr;
        ByteCount size;
        std::vector<std::unique_ptr<RegisteredMemory>> chunks;
        std::unique_ptr<RegisteredMemory> whole;
    };

    Result<Message*> next_message();
    /// True: the round is over.
    Result<bool> handle(const Message& message, DirectPageTarget& target);
    Status find_blocks(const Message& message, DirectPageTarget& target);
    Status pin(DirectPageTarget& target);
    Status make_zero(const Message& message, DirectPageTarget& target);
    Status make_zero(const ZeroRange& range, DirectPageTarget& target);
    Status register_chunks(const Message& message, DirectPageTarget& target);
    Result<ChunkKey> register_chunk(Block& block, ChunkNumber chunk, DirectPageTarget& target);
    Status unregister_chunks(const Message& message);
    Status finish_round(const Message& message);
    Status answer(const Message& message);
    Status check_range(const ChunkRange& range) const;
    static MutableBuffer memory_of(const Block& block, ChunkNumber chunk);

    ControlConnection& control_;
    std::unique_ptr<Fabric> fabric_;
    const ByteCount registration_limit_;
    std::unique_ptr<MemoryLock> lock_;
    std::vector<Block> blocks_;
    std::uint64_t message_bytes_ = 0;
    std::vector<WriteId> finished_;  // scratch; a destination writes nothing

    // Written by the loading thread, read by any.
    std::atomic<std::uint64_t> transferred_bytes_{0};
    std::atomic<std::uint64_t> pages_{0};
    std::atomic<std::uint64_t> registrations_{0};
    std::atomic<std::uint64_t> registered_bytes_{0};
    std::atomic<bool> pin_all_{false};
};

}  // namespace godwit::rdma
