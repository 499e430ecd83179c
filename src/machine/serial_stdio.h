#pragma once

#include <memory>

#include "machine/serial_backend.h"

namespace godwit {

/// The program's standard input and output. Output waits in a limited queue while its reader is slow; at the end its
/// reader gets up to a second for the rest. Input ends at the end of file. The program must ignore SIGPIPE.
Result<std::unique_ptr<SerialBackend>> open_serial_stdio(EventLoop& loop, Clock& clock, Log& log);

/// The same over two descriptors of the caller's, which stay open and as they are.
std::unique_ptr<SerialBackend> make_serial_over_descriptors(int input, int output, EventLoop& loop, Clock& clock,
                                                            Log& log);

}  // namespace godwit
