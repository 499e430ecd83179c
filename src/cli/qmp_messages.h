#pragma once

#include <sys/un.h>

#include <string>
#include <string_view>

#include "godwit/error.h"
#include "monitor/json.h"

namespace godwit {

/// The socket behind "PATH" or "unix:PATH". Error: `invalid_argument`.
Result<sockaddr_un> qmp_socket_address(std::string_view address);

/// What the server calls itself in its greeting ("godwit 0.1.0", "QEMU 7.2.22"), fit to print. Errors: `connect` when
/// it refuses the connection, `stream_corrupt` when this is no greeting.
Result<std::string> qmp_server_name(const Json& greeting);

}  // namespace godwit
