#pragma once

#include <memory>
#include <string>

#include "machine/serial_backend.h"

namespace godwit {

/// A unix socket that one client at a time connects to. Output is dropped while nobody is connected, and as far as a
/// client does not read it. The file is that of a `UnixListener`. Errors: `io`, `invalid_argument` (a path that is too
/// long).
Result<std::unique_ptr<SerialBackend>> open_serial_unix(const std::string& path, EventLoop& loop, Log& log);

}  // namespace godwit
