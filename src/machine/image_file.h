#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/error.h"
#include "godwit/units.h"

namespace godwit {

/// Reads a file that a machine starts from; errors call it `what` ("kernel"). Errors: `io`, `invalid_argument` for one
/// of more than `limit` bytes.
Result<std::vector<std::byte>> read_image_file(std::string_view what, const std::string& path, ByteCount limit);

}  // namespace godwit
