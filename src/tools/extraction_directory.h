#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "godwit/error.h"
#include "io/file_descriptor.h"

namespace godwit {

/// The name of the file that a RAM block or a disk is extracted to: what cannot stand in the name of a file becomes
/// %XX, so that different names get different files, all of them within their directory. Errors: `unsupported` for an
/// empty name, and one that becomes too long.
Result<std::string> extracted_file_name(const std::string& name, std::string_view ending);

/// Where the files go that are made of a stream. One thread.
class ExtractionDirectory {
public:
    /// It is made if it does not exist, once there is something to put into it. Files that exist are an error, or,
    /// with `replace`, removed before.
    ExtractionDirectory(std::string path, bool replace) : path_(std::move(path)), replace_(replace) {}

    struct File {
        FileDescriptor descriptor;
        std::string path;
    };
    /// Makes a file that only its owner may read. No link that lies there is followed. Errors: `io`,
    /// `invalid_argument` for one that exists.
    Result<File> make_file(const std::string& name);

    const std::string& path() const { return path_; }

private:
    Status open();

    const std::string path_;
    const bool replace_;
    FileDescriptor directory_;
};

}  // namespace godwit
