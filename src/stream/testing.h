#pragma once

#include <algorithm>
#include <limits>

#include "godwit/clock.h"
#include "stream/memory_channel.h"

namespace godwit::testing {

/// A clock that a test moves.
class ManualClock : public Clock {
public:
    Instant now() const override { return now_; }
    void advance(Duration by) { now_ += by; }

private:
    Instant now_{std::chrono::seconds(1000)};
};

/// A memory channel that moves few bytes a call and fails at a chosen byte; it counts what is asked of it after that.
class FaultyChannel : public MemoryChannel {
public:
    using MemoryChannel::MemoryChannel;

    std::size_t bytes_per_call = std::numeric_limits<std::size_t>::max();
    std::size_t fail_at_byte = std::numeric_limits<std::size_t>::max();
    std::size_t writes = 0;
    std::size_t writes_after_failure = 0;
    std::size_t largest_gather = 0;

    Result<std::size_t> write_some(std::span<const ConstBuffer> buffers, Instant deadline) override {
        ++writes;
        largest_gather = std::max(largest_gather, buffers.size());
        if (failed_) {
            ++writes_after_failure;
        }
        const std::size_t room = std::min(bytes_per_call, fail_at_byte - std::min(fail_at_byte, bytes().size()));
        if (room == 0) {
            failed_ = true;
            return fail(ErrorCode::io, "injected");
        }
        std::size_t written = 0;
        for (const ConstBuffer& buffer : buffers) {
            const ConstBuffer part = buffer.first(std::min(buffer.size(), room - written));
            written += *MemoryChannel::write_some(std::span(&part, 1), deadline);
        }
        return written;
    }
    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) override {
        std::size_t got = 0;
        for (const MutableBuffer& buffer : buffers) {
            const MutableBuffer part = buffer.first(std::min(buffer.size(), bytes_per_call - got));
            got += *MemoryChannel::read_some(std::span(&part, 1), deadline);
        }
        return got;
    }

private:
    bool failed_ = false;
};

}  // namespace godwit::testing
