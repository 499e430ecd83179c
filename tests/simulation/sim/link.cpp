#include "sim/link.h"

#include <algorithm>

namespace godwit::sim {

Link::Link(World& world, const LinkProperties& properties)
    : world_(world), properties_(properties), pipes_{Pipe(properties.pipes[0]), Pipe(properties.pipes[1])} {
    for (std::size_t end = 0; end < 2; ++end) {
        pipes_[end].lose_after(properties.faults[end].lose_after_bytes);
    }
}

void Link::wake_everybody() {
    for (std::size_t end = 0; end < 2; ++end) {
        world_.scheduler().wake_all(readers_[end]);
        world_.scheduler().wake_all(writers_[end]);
    }
}

void Link::tell_of_reset(int end, Duration when) {
    reset_seen_at_[index(end)] = std::min(reset_seen_at_[index(end)], when);
}

/// Whether the other end hears at all that this one has closed.
bool Link::heard(int end) const {
    return pipes_[index(end)].written() < properties_.faults[index(end)].lose_after_bytes;
}

void Link::close(int end) {
    if (std::exchange(closed_[index(end)], true)) {
        return;
    }
    const Duration now = world_.now();
    const Duration latency = outgoing(end).latency();
    const int other = 1 - end;
    if (broken(end)) {
        wake_everybody();
        return;  // after a reset nothing more is said
    }
    outgoing(end).end(now);
    if (heard(end)) {
        writes_fail_at_[index(other)] = now + 2 * latency + latency / 2;
        // As with tcp: what arrives where nobody reads any more is answered by a reset.
        if (properties_.close_resets && incoming(end).written() > incoming(end).fetched()) {
            tell_of_reset(other, now + latency);
        }
    }
    wake_everybody();
}

void Link::crash(int end, CrashStyle style) {
    world_.trace("link: end {} dies ({})", end,
                 style == CrashStyle::closed  ? "closed"
                 : style == CrashStyle::reset ? "reset"
                                              : "silent");
    if (style == CrashStyle::silent) {
        closed_[index(end)] = true;
        outgoing(end).lose_unsent(world_.now());
        wake_everybody();
        return;
    }
    close(end);
    if (style == CrashStyle::reset) {
        tell_of_reset(1 - end, world_.now() + outgoing(end).latency());
        wake_everybody();
    }
}

void Link::reset() {
    world_.trace("link: reset");
    for (int end = 0; end < 2; ++end) {
        const auto latency = static_cast<std::uint64_t>(outgoing(end).latency().count());
        tell_of_reset(end, world_.now() + Duration(static_cast<std::int64_t>(world_.random().below(latency + 1))));
    }
    wake_everybody();
}

Error Link::refuse_write(int end) {
    if (pipes_[index(end)].written() >= properties_.faults[index(end)].end_after_bytes) {
        return Error{ErrorCode::peer_closed, "broken pipe"};
    }
    reset();
    tell_of_reset(end, world_.now());  // so its close says nothing more
    return Error{ErrorCode::peer_closed, "connection reset"};
}

bool Link::broken(int end) const {
    return world_.now() >= reset_seen_at_[index(end)];
}

bool Link::write_broken(int end) const {
    return broken(end) || world_.now() >= writes_fail_at_[index(end)];
}

Duration Link::breaks_at(int end) const {
    Duration next = forever;
    for (const Duration when : {reset_seen_at_[index(end)], writes_fail_at_[index(end)]}) {
        if (when > world_.now()) {
            next = std::min(next, when);
        }
    }
    return next;
}

std::size_t Link::allowed(int end, std::size_t wanted) const {
    const PipeFaults& faults = properties_.faults[index(end)];
    const std::uint64_t written = pipes_[index(end)].written();
    std::uint64_t limit = wanted;
    if (faults.reset_after_bytes != no_limit) {
        limit = std::min(limit, faults.reset_after_bytes - std::min(written, faults.reset_after_bytes));
    }
    if (faults.end_after_bytes != no_limit) {
        limit = std::min(limit, faults.end_after_bytes - std::min(written, faults.end_after_bytes));
    }
    if (faults.stall_after_bytes != no_limit && written < faults.stall_after_bytes) {
        limit = std::min(limit, faults.stall_after_bytes - written);
    }
    return static_cast<std::size_t>(limit);
}

void Link::after_write(int end) {
    const PipeFaults& faults = properties_.faults[index(end)];
    const std::uint64_t written = pipes_[index(end)].written();
    if (written >= faults.stall_after_bytes && !std::exchange(stall_done_[index(end)], true)) {
        const Duration until = faults.stall_time == forever ? forever : world_.now() + faults.stall_time;
        world_.trace("link: stalls after byte {}", written);
        pipes_[0].freeze(world_.now(), until);
        pipes_[1].freeze(world_.now(), until);
    }
    if (written >= faults.reset_after_bytes) {
        reset();
    }
    if (written >= faults.end_after_bytes) {
        world_.trace("link: end {} is shut down", end);
        outgoing(end).end(world_.now());
        writes_fail_at_[index(end)] = world_.now();
        wake_everybody();
    }
    if (closed_[index(1 - end)] && properties_.close_resets && heard(1 - end)) {
        tell_of_reset(end, world_.now() + 2 * outgoing(end).latency());
    }
}

}  // namespace godwit::sim
