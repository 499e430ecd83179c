#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "tools/machine_difference.h"

namespace godwit {

/// Tells a difference line by line, for a person; nothing when there is none. `print` gets lines that are fit to print.
void tell_difference(const MachineDifference& difference, const std::function<void(const std::string&)>& print);

/// Writes it as one JSON document, whose members docs/stream.md describes. `write` gets it in pieces.
void write_difference(const MachineDifference& difference, const std::function<void(std::string_view)>& write);

}  // namespace godwit
