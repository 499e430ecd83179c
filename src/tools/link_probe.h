#pragma once

#include <cstdint>

#include "godwit/channel.h"
#include "godwit/clock.h"
#include "godwit/error.h"
#include "godwit/units.h"

namespace godwit {

/// What a connection allows, without anything of a migration in it.
struct LinkSpeed {
    double bytes_per_s = 0;
    /// Of many small messages to and fro: the median and the least.
    Duration round_trip{};
    Duration least_round_trip{};
    /// Of data, with what was sent to find out how much is enough.
    ByteCount sent;
};

struct LinkAccount {
    ByteCount received;
    std::uint64_t round_trips = 0;
};

/// The sender's side: measures round trips, and then how fast `data`, again and again, reaches the other side's memory;
/// the measurement that counts takes about `duration`. One thread. Errors: `stream_corrupt` when the peer is none of
/// ours, those of the channel.
Result<LinkSpeed> probe_link(Channel& channel, const Clock& clock, ConstBuffer data, Duration duration);

/// The receiver's side: serves one peer until it ends its direction; what it sends is written to `memory`, again and
/// again. One thread. A peer can make it read and answer for ten minutes at most. Errors: `handshake_timeout` or
/// `stream_corrupt` when the peer is none of ours, `stream_corrupt` when it leaves the protocol, those of the channel.
Result<LinkAccount> answer_probe(Channel& channel, const Clock& clock, MutableBuffer memory);

/// For a caller that knows how much: seconds that exactly `count` bytes take. Between one `probe_hello` and the end.
Status probe_hello(Channel& channel, const Clock& clock);
Result<Duration> probe_bulk(Channel& channel, const Clock& clock, ConstBuffer data, ByteCount count);

}  // namespace godwit
