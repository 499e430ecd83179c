#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "godwit/clock.h"
#include "godwit/log.h"
#include "io/block_queue.h"

namespace godwit {

/// A disk as the command line describes it.
struct DiskSpec {
    std::string name;
    /// Path of a raw image.
    std::string file;
    bool read_only = false;
};

/// "id=NAME,file=PATH[,readonly]". Errors: `invalid_argument`.
Result<DiskSpec> parse_disk_spec(std::string_view text);

/// Opens the image, without locking it. References outlive the disk. Errors: `disk`.
Result<std::unique_ptr<HostBlockDevice>> open_disk(const DiskSpec& spec, Clock& clock, Log& log);

}  // namespace godwit
