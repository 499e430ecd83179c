#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "godwit/channel.h"
#include "io/cancel_event.h"
#include "migration/rate_limiter.h"
#include "tools/relay_options.h"
#include "tools/stream_follower.h"

namespace godwit {

/// One direction of a relay: passes on what comes, and its end.
class RelayPump {
public:
    enum class End {
        ended,        ///< the sender ended the stream, and the receiver was told
        lost_sender,  ///< the sender's connection broke
        lost_receiver,
        cut,  ///< on purpose
    };
    struct Outcome {
        End end = End::ended;
        /// Of a connection that broke.
        std::optional<Error> error;
    };
    struct Parts {
        Channel& from;
        /// Null: nobody hears it.
        Channel* to = nullptr;
        StreamFollower& follower;
        const CancelEvent& cancel;  ///< of waits that are no channel's
        Clock& clock;
        /// Whether a receiver that is gone is no loss, because it needs to hear nothing more.
        std::function<bool()> may_lose_receiver;
        /// Whether one of the two sides has given up: asked while it stalls.
        std::function<bool()> has_side_left;
    };

    RelayPump(Parts parts, const RelayMischief& mischief, std::uint64_t bytes_per_s);

    /// Passes on what comes, until the end. Once, on the pump's thread; a `shutdown` of the channels and a cancel end
    /// it.
    Outcome run();

    // Any thread.
    std::uint64_t bytes() const { return bytes_.load(); }
    /// Came when the receiver was gone already; not counted above.
    std::uint64_t unheard_bytes() const { return unheard_bytes_.load(); }
    bool is_stalled() const { return stalled_.load(); }

    /// When the first byte came, and the last one so far. After `run`.
    std::optional<Instant> first_byte() const { return first_byte_; }
    Instant last_byte() const { return last_byte_; }

private:
    Outcome pump();
    std::optional<Outcome> stall();
    /// How many bytes may be read next, at least one.
    std::size_t allowance();
    std::size_t wait_for_budget();
    void corrupt(MutableBuffer bytes) const;
    std::optional<Outcome> pass_on(MutableBuffer bytes);
    Outcome pass_end_on();

    const Parts parts_;
    RelayMischief mischief_;
    /// A relay on a busy machine wakes late.
    RateLimiter limiter_{std::chrono::milliseconds(100)};
    std::vector<std::byte> buffer_;
    Channel* to_;
    std::optional<Instant> first_byte_;
    Instant last_byte_{};

    // Written by the pump's thread, read by any.
    std::atomic<std::uint64_t> bytes_{0};
    std::atomic<std::uint64_t> unheard_bytes_{0};
    std::atomic<bool> stalled_{false};
};

}  // namespace godwit
