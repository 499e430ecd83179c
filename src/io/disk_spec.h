#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "block/fault_rule.h"
#include "godwit/clock.h"
#include "godwit/log.h"
#include "io/block_queue.h"
#include "io/file_owner.h"

namespace godwit {

/// A disk as the command line asks for it.
struct DiskSpec {
    /// 1 to 64 of [A-Za-z0-9_.-].
    std::string name;
    /// Exactly one of both is not empty.
    std::string file;
    std::string nbd;
    /// Below `file`; empty when there is nothing.
    std::string base;
    bool read_only = false;
    /// Whose a new overlay's files become; not in the command line's text.
    std::optional<FileOwner> owner;
    /// Armed when the disk is opened.
    std::vector<FaultRule> faults;
};

/// Takes apart "id=NAME,file=PATH|nbd=URI[,readonly][,base=PATH][,test-fault=RULES]". A comma within a value is written
/// twice; `readonly` may be `readonly=on` or `readonly=off` too. For RULES see `parse_fault_rules`. Errors:
/// `invalid_argument`.
Result<DiskSpec> parse_disk_spec(std::string_view text);

/// Whether these can be the disks of one machine: each name once. Errors: `invalid_argument`.
Status check_disk_names(std::span<const DiskSpec> disks);

/// Opens the image, without locks. Clock and log outlive the disk. Errors: `disk`.
Result<std::unique_ptr<HostBlockDevice>> open_disk(const DiskSpec& spec, const Clock& clock, Log& log);

}  // namespace godwit
