#pragma once

#include <string>

#include "godwit/error.h"
#include "io/file_descriptor.h"

namespace godwit {

/// A file that gets its name only when it is complete: whatever stood under the name stays until then. Lies in the
/// directory of its final name. Vanishes unless it was committed.
class TemporaryFile {
public:
    enum class Kind {
        automatic,  ///< without a name where the filesystem can do that: then it vanishes even if the program is killed
        named,      ///< always with a temporary name
    };

    /// The file can be read and written by its owner only (it is to hold guest memory), or has the mode of the file
    /// that it will replace. A symbolic link is followed: what it points to is replaced. Errors: `io`.
    static Result<TemporaryFile> create(const std::string& path, Kind kind = Kind::automatic);
    ~TemporaryFile();
    TemporaryFile(TemporaryFile&& other) noexcept;
    TemporaryFile& operator=(TemporaryFile&&) = delete;

    int fd() const { return file_.get(); }
    /// The directory, for fsync after `commit`.
    int directory_fd() const { return directory_.get(); }
    /// Gives the file its name, replacing what stood there. Errors: `io`.
    Status commit();
    /// Gives the file its name unless something stands there already: then false, and the file vanishes. Errors: `io`.
    Result<bool> commit_if_absent();

private:
    TemporaryFile(FileDescriptor directory, std::string name)
        : directory_(std::move(directory)), name_(std::move(name)) {}
    Status open_unnamed();
    Status open_named();
    int link_if_absent();
    void keep_mode_of_predecessor();

    FileDescriptor directory_;
    FileDescriptor file_;
    /// Within the directory.
    std::string name_;
    /// Empty as long as there is none.
    std::string temporary_name_;
};

}  // namespace godwit
