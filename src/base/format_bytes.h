#pragma once

#include <string>

namespace godwit {

/// "1.5 GiB".
std::string format_bytes(double bytes);

}  // namespace godwit
