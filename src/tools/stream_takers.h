#pragma once

#include <optional>
#include <string>
#include <vector>

#include "block/record_decoder.h"
#include "ram/record_decoder.h"

namespace godwit {

/// Somebody who wants what a `StreamInspector` finds in a stream's memory. What it objects to is an error of the
/// stream, except where there is an obstacle.
class RamTaker : public RamRecordVisitor {
public:
    /// Before anything else. `reader` stands, in each call about a page, after its record.
    virtual void begin(const StreamReader& reader) { (void)reader; }
    /// A RAM section has ended.
    virtual Status end_section() { return {}; }
    /// The stream has ended, or is broken here.
    virtual Status finish() { return {}; }
    /// Why it cannot do its work, which is nothing that the stream has done wrong.
    virtual const Error* obstacle() const { return nullptr; }
    /// Files that it has made.
    virtual std::vector<std::string> files() const { return {}; }
};

/// The same for disks.
class DiskTaker : public DiskRecordVisitor {
public:
    virtual void begin(const StreamReader& reader) { (void)reader; }
    virtual const Error* obstacle() const { return nullptr; }
    virtual std::vector<std::string> files() const { return {}; }
};

}  // namespace godwit
