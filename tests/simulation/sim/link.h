#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "sim/direct_plan.h"
#include "sim/direct_stretches.h"
#include "sim/node_clock.h"
#include "sim/pipe.h"

namespace godwit::sim {

/// What a connection between two nodes is like. Index 0 is the end that connected, 1 the end that accepted.
struct LinkProperties {
    std::array<PipeProperties, 2> pipes;
    std::array<PipeFaults, 2> faults;
    /// The second end can answer.
    bool bidirectional = true;
    /// A reset throws away what has arrived and has not been read.
    bool reset_discards = false;
    /// Closing an end that has unread bytes resets the connection, as tcp does.
    bool close_resets = true;
    /// A call whose deadline has passed fails even if it would not have to wait.
    bool strict_deadlines = false;
    /// The way past the stream for pages.
    DirectPlan direct;
};

/// What the other node sees of a node that dies.
enum class CrashStyle {
    closed,  ///< its kernel ends the connection in an orderly way
    reset,   ///< its kernel resets the connection
    silent,  ///< the whole host is gone: nothing at all
};

/// A connection between two nodes: two pipes with faults. Both ends' channels share it.
class Link {
public:
    Link(World& world, const LinkProperties& properties);

    const LinkProperties& properties() const { return properties_; }
    Pipe& outgoing(int end) { return pipes_[index(end)]; }
    Pipe& incoming(int end) { return pipes_[index(1 - end)]; }
    /// Which bytes of these do not belong to the stream.
    DirectStretches& outgoing_stretches(int end) { return stretches_[index(end)]; }
    DirectStretches& incoming_stretches(int end) { return stretches_[index(1 - end)]; }

    /// The end gives the connection up; the other hears of it a latency later.
    void close(int end);
    bool closed(int end) const { return closed_[index(end)]; }
    void crash(int end, CrashStyle style);
    /// Both ends lose the connection now or within a latency.
    void reset();
    /// A write of the end meets a fault: what it is told.
    Error refuse_write(int end);

    /// The connection is broken as seen by this end.
    bool broken(int end) const;
    /// ... or at least nobody reads any more what this end writes, which it has learned.
    bool write_broken(int end) const;
    /// When that may change without anybody doing anything.
    Duration breaks_at(int end) const;

    /// Bytes that the end may write now before a fault strikes; at most `wanted`.
    std::size_t allowed(int end, std::size_t wanted) const;
    /// Bytes were written: faults that count bytes strike here.
    void after_write(int end);
    void wake_everybody();
    WaitQueue& readers(int end) { return readers_[index(end)]; }
    WaitQueue& writers(int end) { return writers_[index(end)]; }

    /// A channel on this end exists.
    std::array<bool, 2> attached{};

private:
    static std::size_t index(int end) { return static_cast<std::size_t>(end); }
    void tell_of_reset(int end, Duration when);
    bool heard(int end) const;

    World& world_;
    LinkProperties properties_;
    std::array<Pipe, 2> pipes_;
    std::array<DirectStretches, 2> stretches_;
    std::array<bool, 2> closed_{};
    std::array<Duration, 2> reset_seen_at_{forever, forever};
    std::array<Duration, 2> writes_fail_at_{forever, forever};
    std::array<bool, 2> stall_done_{};
    std::array<WaitQueue, 2> readers_;
    std::array<WaitQueue, 2> writers_;
};

}  // namespace godwit::sim
