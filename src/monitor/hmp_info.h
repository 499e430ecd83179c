#pragma once

#include <string>

#include "monitor/json.h"

namespace godwit {

// What `info` says, made of the answers of QMP, with QEMU's labels and units. Lines end with "\n". A figure that the
// answer lacks, or that is of another type than QMP gives it, has no line.

/// Of `query-migrate`.
std::string migration_text(const Json& report);
/// Of `query-migrate-capabilities`.
std::string capabilities_text(const Json& list);
/// Of `query-dirty-rate`.
std::string dirty_rate_text(const Json& report);
/// Of `query-block`.
std::string disks_text(const Json& list);
/// Of `query-status`.
std::string status_text(const Json& status);
/// Of `query-version`.
std::string version_text(const Json& version);
/// Of `query-name`; empty for a machine without a name.
std::string name_text(const Json& name);

}  // namespace godwit
