#pragma once

#include <string>
#include <vector>

#include "godwit/error.h"

namespace godwit {

/// Looks at the lists of revoked certificates in the file `path`: whether an authority in `authority_path` has signed
/// each (GnuTLS, which uses them, does not ask), and when the next was to come. Gives what is worth a warning. Errors:
/// `invalid_argument`. Any thread.
Result<std::vector<std::string>> check_revocations(const std::string& path, const std::string& authority_path);

}  // namespace godwit
