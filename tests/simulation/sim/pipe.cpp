#include "sim/pipe.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace godwit::sim {

Pipe::Pipe(const PipeProperties& properties) : properties_(properties), ring_(properties.capacity_bytes) {}

void Pipe::stage(std::size_t already_staged, ConstBuffer bytes) {
    GODWIT_ASSERT(already_staged + bytes.size() <= room(), "a pipe takes at most its room");
    std::size_t position = static_cast<std::size_t>((written_ + already_staged) % ring_.size());
    const std::size_t first = std::min(bytes.size(), ring_.size() - position);
    std::memcpy(ring_.data() + position, bytes.data(), first);
    if (first < bytes.size()) {
        std::memcpy(ring_.data(), bytes.data() + first, bytes.size() - first);
    }
}

void Pipe::publish(std::size_t bytes, Duration now) {
    // What is written at once does not arrive at once: about a millisecond's worth at a time.
    const std::uint64_t piece_bytes = std::max<std::uint64_t>(1500, properties_.bytes_per_s / 1000);
    link_free_at_ = std::max(link_free_at_, now);
    for (std::uint64_t left = bytes; left > 0;) {
        const std::uint64_t piece = std::min(left, piece_bytes);
        const double seconds = static_cast<double>(piece) / static_cast<double>(properties_.bytes_per_s);
        link_free_at_ += Duration(static_cast<std::int64_t>(seconds * 1e9));
        written_ += piece;
        left -= piece;
        under_way_.push_back(Segment{written_, link_free_at_ + properties_.latency});
    }
}

void Pipe::settle(Duration now) {
    if (now < frozen_until_) {
        return;
    }
    while (!under_way_.empty() && under_way_.front().arrives <= now) {
        arrived_ = std::min(under_way_.front().end, lose_after_);
        under_way_.pop_front();
    }
}

std::size_t Pipe::available(Duration now) {
    settle(now);
    return static_cast<std::size_t>(arrived_ - fetched_);
}

void Pipe::fetch(MutableBuffer into) {
    std::size_t position = static_cast<std::size_t>(fetched_ % ring_.size());
    const std::size_t first = std::min(into.size(), ring_.size() - position);
    std::memcpy(into.data(), ring_.data() + position, first);
    if (first < into.size()) {
        std::memcpy(into.data() + first, ring_.data(), into.size() - first);
    }
    fetched_ += into.size();
}

Duration Pipe::next_arrival(Duration now) {
    settle(now);
    if (now < frozen_until_) {
        return frozen_until_;
    }
    if (!under_way_.empty() && arrived_ < lose_after_) {
        return under_way_.front().arrives;
    }
    if (ended_ && !end_lost_ && written_ < lose_after_ && now < end_arrives_) {
        return end_arrives_;
    }
    return forever;
}

Duration Pipe::all_arrived_at(Duration now) {
    settle(now);
    if (written_ > lose_after_ || end_lost_) {
        return forever;
    }
    if (under_way_.empty()) {
        return now;
    }
    return std::max(under_way_.back().arrives, frozen_until_);
}

void Pipe::end(Duration now) {
    if (!ended_) {
        ended_ = true;
        end_arrives_ = std::max(link_free_at_, now) + properties_.latency;
    }
}

bool Pipe::end_arrived(Duration now) {
    settle(now);
    return ended_ && !end_lost_ && now >= std::max(end_arrives_, frozen_until_) && written_ < lose_after_;
}

void Pipe::freeze(Duration now, Duration until) {
    settle(now);
    frozen_until_ = until;
}

void Pipe::lose_unsent(Duration now) {
    settle(now);
    std::uint64_t sent = arrived_;
    for (const Segment& segment : under_way_) {
        if (segment.arrives - properties_.latency <= now) {
            sent = std::max(sent, segment.end);
        }
    }
    lose_after_ = std::min(lose_after_, sent);
    end_lost_ = true;
}

}  // namespace godwit::sim
