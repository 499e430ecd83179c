#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "godwit/error.h"

namespace godwit {

/// `tcp:HOST:PORT`: a name or a numeric address (IPv6 in brackets). An empty host is every address of this machine when
/// listening, this machine itself when connecting. Port 0 lets the system choose one; only for listening.
struct TcpAddress {
    std::string host;
    std::uint16_t port = 0;
    bool operator==(const TcpAddress&) const = default;
};
/// By which way pages travel over RDMA; `automatic` is the best that both sides have.
enum class RdmaTransport { automatic, shared_memory, tcp, verbs };
/// `rdma:HOST:PORT`, with `,transport=auto`, `shm`, `tcp` or `verbs` at the end if the source wishes for one. `x-rdma:`
/// is an older name for it. Host and port as for tcp.
struct RdmaAddress {
    std::string host;
    std::uint16_t port = 0;
    RdmaTransport transport = RdmaTransport::automatic;
    bool operator==(const RdmaAddress&) const = default;
};
/// `unix:PATH`
struct UnixAddress {
    std::string path;
    bool operator==(const UnixAddress&) const = default;
};
/// `fd:N`, a descriptor inherited at the start, or `fd:NAME`, one passed with getfd.
struct FdAddress {
    std::string name;
    bool operator==(const FdAddress&) const = default;
    /// The name is a number.
    bool is_inherited() const;
    /// The number. The name must be one.
    int number() const;
};
/// `exec:COMMAND`, run by /bin/sh.
struct ExecAddress {
    std::string command;
    bool operator==(const ExecAddress&) const = default;
};
/// `file:PATH`
struct FileAddress {
    std::string path;
    bool operator==(const FileAddress&) const = default;
};

/// Where a migration goes to or comes from.
using Address = std::variant<TcpAddress, UnixAddress, FdAddress, ExecAddress, FileAddress, RdmaAddress>;

/// Reads a URI. Nothing is looked up or opened. Errors: `invalid_argument`, naming what is wrong.
Result<Address> parse_address(std::string_view uri);

/// The URI of an address; `parse_address` reads it back.
std::string to_string(const Address& address);

}  // namespace godwit
