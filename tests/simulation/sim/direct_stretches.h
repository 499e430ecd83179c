#pragma once

#include <cstdint>
#include <deque>

namespace godwit::sim {

/// Which bytes of a pipe belong to the way past the stream; all others are the stream's. On a real link the two are
/// told apart by frames, which would only disturb the count of bytes here.
class DirectStretches {
public:
    void add(std::uint64_t begin, std::uint64_t end) {
        if (!stretches_.empty() && stretches_.back().end == begin) {
            stretches_.back().end = end;
        } else {
            stretches_.push_back({begin, end});
        }
    }

    /// What the byte at a position belongs to, and how many bytes from there on do so too, as far as is known.
    /// Positions never go back.
    struct Part {
        bool direct = false;
        std::uint64_t bytes = 0;
    };
    Part at(std::uint64_t position) {
        while (!stretches_.empty() && stretches_.front().end <= position) {
            stretches_.pop_front();
        }
        if (stretches_.empty()) {
            return {false, UINT64_MAX};
        }
        const Stretch& next = stretches_.front();
        const bool direct = next.begin <= position;
        return {direct, (direct ? next.end : next.begin) - position};
    }

private:
    struct Stretch {
        std::uint64_t begin;
        std::uint64_t end;
    };
    std::deque<Stretch> stretches_;
};

}  // namespace godwit::sim
