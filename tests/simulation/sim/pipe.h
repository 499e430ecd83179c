#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <span>
#include <vector>

#include "godwit/channel.h"
#include "sim/world.h"

namespace godwit::sim {

inline constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();

/// What one direction of a link is like.
struct PipeProperties {
    std::uint64_t bytes_per_s = 100'000'000;
    Duration latency = std::chrono::microseconds(50);
    /// Bytes that may be under way: both sockets' buffers.
    std::size_t capacity_bytes = 64 * 1024;
};

/// Something goes wrong in one direction. Counts are of bytes written to it.
struct PipeFaults {
    /// The connection is reset once this many bytes have been written.
    std::uint64_t reset_after_bytes = no_limit;
    /// The writer's system shuts the connection down in an orderly way once this many bytes have been written, and lets
    /// it write no more: a yank, for one.
    std::uint64_t end_after_bytes = no_limit;
    /// What is written past this never arrives, and the writer is not told.
    std::uint64_t lose_after_bytes = no_limit;
    /// Nothing moves in either direction once this many bytes have been written ...
    std::uint64_t stall_after_bytes = no_limit;
    /// ... for this long.
    Duration stall_time = forever;
    /// Chance that a call transfers only a few bytes.
    unsigned short_call_percent = 5;
};

/// One direction of a link: bytes leave at the link's pace, arrive a latency later, and free their room when they are
/// read. Knows nothing of fibers; moments are world time.
class Pipe {
public:
    explicit Pipe(const PipeProperties& properties);

    std::uint64_t written() const { return written_; }
    std::uint64_t fetched() const { return fetched_; }
    std::size_t room() const { return properties_.capacity_bytes - static_cast<std::size_t>(written_ - fetched_); }
    Duration latency() const { return properties_.latency; }

    /// Copies bytes in that `publish` will send; at most `room`.
    void stage(std::size_t already_staged, ConstBuffer bytes);
    void publish(std::size_t bytes, Duration now);
    /// Bytes that can be read.
    std::size_t available(Duration now);
    void fetch(MutableBuffer into);
    /// When more will be available than now; `forever` if nothing is under way.
    Duration next_arrival(Duration now);
    /// When everything written will have arrived.
    Duration all_arrived_at(Duration now);

    /// No more bytes: the reader sees an orderly end after the last one.
    void end(Duration now);
    bool ended() const { return ended_; }
    /// The end has arrived, whatever is still to be read before it.
    bool end_arrived(Duration now);
    /// The reader has read everything and the end has arrived.
    bool at_end(Duration now) { return end_arrived(now) && fetched_ == written_; }

    void freeze(Duration now, Duration until);
    /// Bytes past this, and the end of the stream, never arrive.
    void lose_after(std::uint64_t byte) { lose_after_ = byte; }
    /// Everything that has not left the sender yet never will, the end of the stream included.
    void lose_unsent(Duration now);

private:
    struct Segment {
        std::uint64_t end;
        Duration arrives;
    };
    void settle(Duration now);

    PipeProperties properties_;
    std::vector<std::byte> ring_;
    std::deque<Segment> under_way_;
    std::uint64_t written_ = 0;
    std::uint64_t arrived_ = 0;
    std::uint64_t fetched_ = 0;
    std::uint64_t lose_after_ = no_limit;
    Duration link_free_at_{};
    Duration end_arrives_{};
    Duration frozen_until_{Duration::min()};
    bool ended_ = false;
    bool end_lost_ = false;
};

}  // namespace godwit::sim
