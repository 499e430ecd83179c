#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "godwit/channel.h"
#include "io/cancel_event.h"
#include "rdma/transport.h"

namespace godwit::rdma {

/// The exchange with which a connection begins. The source says hello, the destination answers with one of the same
/// form or refuses; then the control messages follow. Numbers are big-endian:
///
/// | offset | bytes | |
/// |---|---|---|
/// | 0 | 4 | `GWRD` |
/// | 4 | 4 | version: 1 |
/// | 8 | 4 | flags; bit 0: can pin everything. The answer has those that both sides know |
/// | 12 | 4 | transport: the source's wish, and the destination's choice (0 auto, 1 shm, 2 tcp, 3 verbs) |
/// | 16 | 16 | boot id of the host, as bytes |
/// | 32 | 8 | inode of the process id namespace |
/// | 40 | 1 | 1: has a device for RDMA |
/// | 41 | 1 | 1: a refusal. 0 from the source |
/// | 42 | 2 | 0; ignored |
/// | 44 | 4 | length of what follows |
/// | 48 | | the answer: the address of the destination's fabric; a refusal: a text; from the source: nothing |
///
/// These fields are the same in all versions to come, so that versions can be compared and a refusal be read.

inline constexpr std::size_t hello_bytes = 48;
inline constexpr std::uint32_t hello_version = 1;
inline constexpr std::size_t max_refusal_bytes = 1024;

/// What the source says.
struct Hello {
    bool can_pin_all = true;
    Transport wish = Transport::automatic;
    HostIdentity host;
};

/// What the destination answers.
struct HelloAnswer {
    bool can_pin_all = true;
    /// Not `automatic`.
    Transport transport = Transport::shared_memory;
    HostIdentity host;
    std::vector<std::byte> fabric_address;
};

/// The connection and how long to wait for it. What it refers to outlives it. `socket` stays its owner's.
struct HelloConnection {
    int socket;
    /// For messages: the peer as a URI.
    std::string name;
    const CancelEvent& cancel;
    Instant deadline;
    const Clock& clock;
};

// Errors of all: `peer_closed`, `handshake_timeout`, `cancelled`, `io`.

/// Source: says hello and waits for the answer. Errors: `peer_failed` for a refusal, in the peer's words;
/// `stream_version`; `stream_corrupt`, also for a transport that was not wished for.
Result<HelloAnswer> say_hello(const HelloConnection& connection, const Hello& hello);

/// Destination: reads the hello. Errors: `stream_version`, `stream_corrupt`; the peer has been told of them.
Result<Hello> hear_hello(const HelloConnection& connection);
/// Destination: one of these follows.
Status answer_hello(const HelloConnection& connection, const HelloAnswer& answer);
Status refuse_hello(const HelloConnection& connection, std::string_view reason);

}  // namespace godwit::rdma
