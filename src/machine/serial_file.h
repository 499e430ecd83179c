#pragma once

#include <memory>
#include <string>

#include "machine/serial_backend.h"

namespace godwit {

/// Appends the output to a file, which is created if absent. No input. Errors: `io`.
Result<std::unique_ptr<SerialBackend>> open_serial_file(const std::string& path, Log& log);

}  // namespace godwit
