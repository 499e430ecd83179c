#pragma once

#include <memory>
#include <string>

#include "godwit/channel.h"
#include "godwit/clock.h"
#include "godwit/error.h"

namespace godwit {

/// Opens a saved stream for reading; - is the standard input. Errors: `io`, `invalid_argument`. `clock` outlives it.
Result<std::unique_ptr<Channel>> open_stream_file(const std::string& file, Clock& clock);

/// A file that is a file system's memory for which it has no space left ends the program with a signal, wherever it is
/// written: the least is to say so.
void explain_full_file_system();

}  // namespace godwit
