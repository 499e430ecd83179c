#include "godwit/error_table.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace godwit {
namespace {

// Numbers travel between versions: one that has been given out is never used for anything else, even if its code goes.
constexpr auto table = std::to_array<ErrorInfo>({
    {ErrorCode::internal, "internal", "an assumption of the program itself did not hold",
     "report it, with the log of both sides"},
    {ErrorCode::invalid_argument, "invalid-argument", "an argument is malformed or out of its range",
     "correct it; the message names it and the range"},
    {ErrorCode::unsupported, "unsupported", "the kernel, the host or the peer lacks a feature that is needed",
     "the message names the feature: use a newer kernel, another host or other options"},
    {ErrorCode::busy, "busy", "another migration is running, or what the request needs is in use",
     "wait for its end or cancel it; the message names what is in use"},
    {ErrorCode::wrong_state, "wrong-state", "the request does not fit what the machine is doing at the moment",
     "ask `query-status` and `query-migrate`, then try again"},
    {ErrorCode::not_found, "not-found", "something that the request names does not exist", "correct the name"},
    {ErrorCode::cancelled, "cancelled", "somebody asked for the end of the migration",
     "nothing: the guest runs at the source"},
    {ErrorCode::listener_refused, "listener-refused",
     "a part of the program that embeds the library objected to the start", "its own words stand in the message"},
    {ErrorCode::io, "io", "the operating system refused an operation on a file or a socket",
     "the message has the system's reason: space, permissions, the network"},
    {ErrorCode::connect, "connect", "the peer could not be reached",
     "check address, port, firewall, and that the destination waits there"},
    {ErrorCode::connect_timeout, "connect-timeout", "the peer did not answer the attempt to connect in time",
     "as for `connect`; a slow network may need a longer `connect-timeout`"},
    {ErrorCode::handshake_timeout, "handshake-timeout",
     "the connection stands, but the peer did not begin the protocol in time",
     "is it really a migration that listens there? See the destination's log"},
    {ErrorCode::idle_timeout, "idle-timeout", "no byte could be moved for the time of `idle-timeout`",
     "look at the network and whether the peer has stopped; then migrate again, with a longer `idle-timeout` if it is "
     "slow"},
    {ErrorCode::switchover_timeout, "switchover-timeout",
     "the switchover did not end within its deadline, before the commit",
     "the guest goes on at the source; look at bandwidth and destination, raise `switchover-timeout`"},
    {ErrorCode::peer_closed, "peer-closed", "the peer closed or lost the connection before the end",
     "the peer's log says why"},
    {ErrorCode::child_failed, "child-failed", "the command of an `exec:` address failed",
     "the message has its status or signal; run the command by hand"},
    {ErrorCode::tls_handshake, "tls-handshake", "the two sides could not agree on TLS, or one does not speak it",
     "give both TLS credentials of the same kind, or none; both logs say more"},
    {ErrorCode::tls_certificate, "tls-certificate", "one side does not accept the other's certificate",
     "the message says why: another authority, out of its time, another host, revoked"},
    {ErrorCode::tls_denied, "tls-denied", "the certificate is good, but `tls-authz` does not let its owner in",
     "add it to the list at the destination, if it may come"},
    {ErrorCode::stream_truncated, "stream-truncated", "the stream, or a file that is read, ended in the middle",
     "a saved file is incomplete, or the source gave up: save or send again"},
    {ErrorCode::stream_corrupt, "stream-corrupt", "what was read contradicts its format",
     "the message has section, block and offset; `godwit inspect FILE` shows where a saved stream breaks"},
    {ErrorCode::stream_version, "stream-version", "what was read has a version of its format that is not known here",
     "the message has the version; both sides must speak version 3 of the stream"},
    {ErrorCode::unknown_section, "unknown-section", "the stream holds a device that does not exist here",
     "start the destination with the same devices as the source"},
    {ErrorCode::section_version, "section-version", "a device's state comes from a newer version",
     "use at least the source's version at the destination"},
    {ErrorCode::machine_mismatch, "machine-mismatch",
     "the stream comes from another type of machine, or from one that lacks a device",
     "start the destination with the same `--machine`, `--cpus` and devices"},
    {ErrorCode::ram_mismatch, "ram-mismatch", "a RAM block is missing on one side or has another size",
     "start the destination with the same `--memory`"},
    {ErrorCode::device_state, "device-state", "a device's state could not be saved, or what arrived makes no sense",
     "the message names device and field; both sides should run the same version"},
    {ErrorCode::disk_mismatch, "disk-mismatch",
     "the stream holds a disk that does not exist here, is read-only or has another size",
     "start the destination with disks of the same names and sizes, writable as at the source"},
    {ErrorCode::preflight_mismatch, "preflight-mismatch",
     "source and destination do not fit; found out before the first page",
     "the message has both values: start the destination accordingly. The guest was never touched"},
    {ErrorCode::peer_failed, "peer-failed", "the peer reported a failure",
     "its words are in the message, more may be in its log"},
    {ErrorCode::handover_unknown, "handover-unknown",
     "the connection died in the moment in which the guest changed hands",
     "look at both sides and start the guest on exactly one (`godwit own --help`)"},
    {ErrorCode::ownership_gone, "ownership-gone", "the guest runs elsewhere after a completed migration",
     "nothing; or, if the other side is certainly dead, force it"},
    {ErrorCode::too_late, "too-late", "the guest has been handed over, or is just being", "wait for the outcome"},
    {ErrorCode::dirty_tracking, "dirty-tracking", "the pages that the guest writes could not be tracked",
     "the message has the kernel's reason: a kernel with the named feature is needed"},
    {ErrorCode::memory, "memory", "guest memory could not be mapped, read or changed",
     "check free memory, limits, and the memory file's file system"},
    {ErrorCode::vcpu, "vcpu", "a virtual CPU failed",
     "the message has the exit reason; the guest or the host's KVM cannot go on"},
    {ErrorCode::guest_gone, "guest-gone", "the guest powered itself off during the migration",
     "nothing: there is no running guest to move"},
    {ErrorCode::disk, "disk", "a disk could not be opened, locked, read, written or flushed",
     "the message names the disk and has the system's reason"},
    {ErrorCode::cannot_pin, "cannot-pin", "memory could not be kept in RAM for `rdma-pin-all`",
     "the message says how much is needed and which limit to raise; or switch `rdma-pin-all` off"},
});

static_assert(std::ranges::adjacent_find(table, std::ranges::greater_equal(), &ErrorInfo::code) == table.end(),
              "in the order of the numbers, each once");

}  // namespace

std::span<const ErrorInfo> error_table() {
    return table;
}

const ErrorInfo* find_error(std::string_view name_or_number) {
    std::uint16_t number = 0;
    const char* const end = name_or_number.data() + name_or_number.size();
    const auto read = std::from_chars(name_or_number.data(), end, number);
    const bool is_number = read.ec == std::errc() && read.ptr == end;
    const auto* const found = std::ranges::find_if(table, [&](const ErrorInfo& info) {
        return is_number ? static_cast<std::uint16_t>(info.code) == number : info.name == name_or_number;
    });
    return found != table.end() ? found : nullptr;
}

std::string plain_text(std::string_view text) {
    std::string plain(text);
    std::ranges::replace(plain, '`', '\'');
    return plain;
}

std::string advice_for(const Error& error) {
    if (!error.hint.empty()) {
        return error.hint;
    }
    const auto* const row = std::ranges::find(table, error.code, &ErrorInfo::code);
    return row != table.end() ? plain_text(row->remedy) : "";
}

}  // namespace godwit
