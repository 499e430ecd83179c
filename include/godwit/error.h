#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

namespace godwit {

/// What went wrong, as a code that scripts and peers may rely on. Codes are never renumbered or reused;
/// `docs/errors.md` says of each what it means and what to do.
enum class ErrorCode : std::uint16_t {
    internal = 1,             ///< an assumption of the program did not hold
    invalid_argument = 2,     ///< an argument is malformed or out of range
    unsupported = 3,          ///< the kernel, the host or the peer lacks a needed feature
    busy = 4,                 ///< another migration is in the way
    wrong_state = 5,          ///< the request does not fit the present state
    not_found = 6,            ///< a named object does not exist
    cancelled = 7,            ///< somebody asked for the end
    listener_refused = 8,     ///< a listener objected to the start of a migration
    io = 20,                  ///< the operating system refused an operation on a file or a socket
    connect = 21,             ///< the peer could not be reached
    connect_timeout = 22,     ///< the peer did not answer the connection attempt in time
    handshake_timeout = 23,   ///< the connection stands, but the peer did not begin the protocol in time
    idle_timeout = 24,        ///< the peer made no progress for the idle deadline
    switchover_timeout = 25,  ///< the switchover did not finish within its deadline
    peer_closed = 26,         ///< the peer closed the connection before the migration was over
    child_failed = 27,        ///< a command started for `exec:` failed
    tls_handshake = 28,       ///< the two sides could not agree on TLS, or one of them does not speak it
    tls_certificate = 29,     ///< one side does not accept the other's certificate
    tls_denied = 30,          ///< the certificate is good, but whoever it names may not migrate to here
    stream_truncated = 40,    ///< the stream ended in the middle
    stream_corrupt = 41,      ///< the stream contradicts the format
    stream_version = 42,      ///< the stream has a format version that is not understood
    unknown_section = 43,     ///< the stream holds state of a device that does not exist here
    section_version = 44,     ///< the state of a device is newer than what is understood here
    machine_mismatch = 45,    ///< the machine type is another one
    ram_mismatch = 46,        ///< a RAM block is missing or has another size
    device_state = 47,        ///< a device's state could not be saved or does not make sense
    disk_mismatch = 48,       ///< a disk is missing or has another size
    preflight_mismatch = 60,  ///< the manifests of both sides do not fit
    peer_failed = 61,         ///< the peer reported a failure of its own
    handover_unknown = 62,    ///< the connection died where it is unknown who owns the guest
    ownership_gone = 63,      ///< the guest runs elsewhere
    too_late = 64,            ///< the point of no return has been passed
    dirty_tracking = 80,      ///< written pages could not be tracked
    memory = 81,              ///< guest memory could not be mapped, read or changed
    vcpu = 82,                ///< a virtual CPU failed
    guest_gone = 83,          ///< the guest powered itself off
    disk = 84,                ///< a disk could not be opened, locked, read, written or flushed
    cannot_pin = 85,          ///< memory could not be kept in RAM for a device to write to it
};

/// The code's stable name, in lower case with dashes ("handover-unknown").
std::string_view to_string(ErrorCode code);

/// The inverse of the numeric value sent by a peer. Values that are not known map to `peer_failed`.
ErrorCode error_code_from_wire(std::uint16_t value);

/// An error as a value. `message` says what happened, in the peer's or the system's own words where there are any;
/// `hint`, when not empty, says what to do next.
struct Error {
    ErrorCode code = ErrorCode::internal;
    std::string message;
    std::string hint = {};

    /// Message and hint as one line for a person.
    std::string text() const;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(ErrorCode code, std::string message, std::string hint = {}) {
    return tl::unexpected<Error>(Error{code, std::move(message), std::move(hint)});
}
inline tl::unexpected<Error> fail(Error error) {
    return tl::unexpected<Error>(std::move(error));
}

}  // namespace godwit
