#pragma once

#include <string>

#include "godwit/error.h"
#include "monitor/json.h"

namespace godwit {

/// Makes the arguments of object-add from `--object KIND,id=NAME,KEY=VALUE...`, written as QEMU has it. What they mean
/// is checked later. Errors: `invalid_argument`.
Result<Json> parse_object_argument(const std::string& text);

}  // namespace godwit
