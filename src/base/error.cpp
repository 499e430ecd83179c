#include "godwit/error.h"

#include <array>
#include <utility>

namespace godwit {
namespace {

constexpr std::array<std::pair<ErrorCode, std::string_view>, 39> names{{
    {ErrorCode::internal, "internal"},
    {ErrorCode::invalid_argument, "invalid-argument"},
    {ErrorCode::unsupported, "unsupported"},
    {ErrorCode::busy, "busy"},
    {ErrorCode::wrong_state, "wrong-state"},
    {ErrorCode::not_found, "not-found"},
    {ErrorCode::cancelled, "cancelled"},
    {ErrorCode::listener_refused, "listener-refused"},
    {ErrorCode::io, "io"},
    {ErrorCode::connect, "connect"},
    {ErrorCode::connect_timeout, "connect-timeout"},
    {ErrorCode::handshake_timeout, "handshake-timeout"},
    {ErrorCode::idle_timeout, "idle-timeout"},
    {ErrorCode::switchover_timeout, "switchover-timeout"},
    {ErrorCode::peer_closed, "peer-closed"},
    {ErrorCode::child_failed, "child-failed"},
    {ErrorCode::tls_handshake, "tls-handshake"},
    {ErrorCode::tls_certificate, "tls-certificate"},
    {ErrorCode::tls_denied, "tls-denied"},
    {ErrorCode::stream_truncated, "stream-truncated"},
    {ErrorCode::stream_corrupt, "stream-corrupt"},
    {ErrorCode::stream_version, "stream-version"},
    {ErrorCode::unknown_section, "unknown-section"},
    {ErrorCode::section_version, "section-version"},
    {ErrorCode::machine_mismatch, "machine-mismatch"},
    {ErrorCode::ram_mismatch, "ram-mismatch"},
    {ErrorCode::device_state, "device-state"},
    {ErrorCode::disk_mismatch, "disk-mismatch"},
    {ErrorCode::preflight_mismatch, "preflight-mismatch"},
    {ErrorCode::peer_failed, "peer-failed"},
    {ErrorCode::handover_unknown, "handover-unknown"},
    {ErrorCode::ownership_gone, "ownership-gone"},
    {ErrorCode::too_late, "too-late"},
    {ErrorCode::dirty_tracking, "dirty-tracking"},
    {ErrorCode::memory, "memory"},
    {ErrorCode::vcpu, "vcpu"},
    {ErrorCode::guest_gone, "guest-gone"},
    {ErrorCode::disk, "disk"},
    {ErrorCode::cannot_pin, "cannot-pin"},
}};

}  // namespace

std::string_view to_string(ErrorCode code) {
    for (const auto& [known, name] : names) {
        if (known == code) {
            return name;
        }
    }
    return "internal";
}

ErrorCode error_code_from_wire(std::uint16_t value) {
    for (const auto& [known, name] : names) {
        if (static_cast<std::uint16_t>(known) == value) {
            return known;
        }
    }
    return ErrorCode::peer_failed;
}

std::string Error::text() const {
    if (hint.empty()) {
        return message;
    }
    return message + " (" + hint + ")";
}

}  // namespace godwit
