#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "godwit/channel.h"

namespace godwit {

/// Bytes from one thread to another of this process, with the moments at which they came. What is under way has a
/// bound: a writer that is ahead waits. The channel is the reader's end; writing has a call of its own.
class BoundedPipe : public Channel {
public:
    explicit BoundedPipe(std::size_t capacity_bytes);

    /// Hands `bytes` over, and waits for room. After `stop_reading` and `shutdown` they are dropped. The writer's
    /// thread.
    void write(ConstBuffer bytes, Instant arrived);
    /// Nothing more will be written. The writer's thread.
    void end();

    /// The reader wants no more: from now on nobody waits for it. The reader's thread.
    void stop_reading();
    /// When the byte at `position` came, or the last one if there is none yet. Positions may only grow from call to
    /// call; what lies before the last one asked for is forgotten, and of a reader that asks too seldom old moments get
    /// coarse. The reader's thread.
    Instant arrival(std::uint64_t position);

    const ChannelTraits& traits() const override { return traits_; }
    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) override;
    void shutdown() override;

    // The reader says nothing.
    Result<std::size_t> write_some(std::span<const ConstBuffer> buffers, Instant deadline) override;
    Status drain(Instant) override { return {}; }
    Status finish_writing(Instant) override { return {}; }

private:
    /// Bytes up to `end` that are not a mark's before it came at `arrived`.
    struct Mark {
        std::uint64_t end = 0;
        Instant arrived{};
    };

    void mark(std::uint64_t end, Instant arrived);
    void thin_out();
    std::size_t take(MutableBuffer buffer);
    std::size_t put(ConstBuffer bytes);

    const ChannelTraits traits_{.bidirectional = false, .description = "a copy of the stream"};

    std::mutex mutex_;
    std::condition_variable changed_;
    // Under mutex_.
    std::vector<std::byte> ring_;
    std::uint64_t written_ = 0;
    std::uint64_t read_ = 0;
    std::deque<Mark> marks_;
    bool ended_ = false;
    bool unread_ = false;  ///< nobody reads any more
    bool given_up_ = false;
};

}  // namespace godwit
