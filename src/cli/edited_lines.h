#pragma once

#include <memory>

#include "cli/line_source.h"
#include "cli/standard_streams.h"
#include "monitor/command_table.h"

namespace godwit {

/// Lines that a person types at a terminal, with editing, a history and completion of the human monitor's commands. The
/// terminal is as it was before once this is destroyed. Null when the terminal cannot be used. Everything belongs to
/// the calling thread; the references outlive the result.
std::unique_ptr<LineSource> open_edited_lines(const StandardStreams& streams, const CommandTable& commands);

}  // namespace godwit
