#pragma once

#include <string>
#include <string_view>

#include "godwit/error.h"

namespace godwit {

/// Takes apart where a monitor of QMP is to listen: "unix:PATH" or "PATH", and returns the path. The options that QEMU
/// wants there (",server=on,wait=off") are understood as what is done anyway. Errors: `invalid_argument`.
Result<std::string> parse_qmp_address(std::string_view text);

/// Where a human monitor is.
struct MonitorAddress {
    /// On the standard input and output.
    bool stdio = false;
    /// The socket's path, otherwise.
    std::string path = {};
};

/// "stdio", or an address as for QMP. Errors: `invalid_argument`.
Result<MonitorAddress> parse_monitor_address(std::string_view text);

}  // namespace godwit
