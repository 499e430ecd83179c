#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>

#include "godwit/error.h"
#include "godwit/units.h"
#include "io/file_descriptor.h"
#include "io/file_owner.h"

namespace godwit {

/// A file that becomes memory; removed at the end if it was made here, unless `keep` is called.
class MemoryFile {
public:
    /// If it is made here it becomes `owner`'s, if there is one.
    MemoryFile(std::string path, std::optional<FileOwner> owner);
    ~MemoryFile();
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;

    /// Opens or creates the file, close-on-exec, and brings it to `size`. Errors: `invalid_argument` for a file of
    /// another size or kind, `memory`.
    Status prepare(ByteCount size);

    int descriptor() const { return file_.get(); }
    /// The file did not exist.
    bool created() const { return created_; }
    /// It reads as zeros everywhere.
    bool fresh() const { return fresh_; }
    bool same_as(const FileDescriptor& other) const;
    FileDescriptor keep();

private:
    Status open();

    const std::string path_;
    const std::optional<FileOwner> owner_;
    FileDescriptor file_;
    bool created_ = false;
    bool fresh_ = false;
    struct stat status_ = {};
};

}  // namespace godwit
