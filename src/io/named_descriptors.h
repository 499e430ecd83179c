#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "godwit/error.h"
#include "io/file_descriptor.h"

namespace godwit {

/// Descriptors that a client passed to this program, kept under a name until a migration takes them (QMP `getfd`,
/// `closefd`). One thread (the main loop's).
class NamedDescriptors {
public:
    /// Enough for every channel of several migrations, too few to use up the process's descriptors.
    static constexpr std::size_t max_count = 64;

    /// Keeps `fd` and makes it close-on-exec; one that had the name is closed. Errors: `invalid_argument` for a name
    /// that is empty, longer than 255 bytes or begins with a digit, or when there is no descriptor; `busy` when the
    /// table is full.
    Status put(const std::string& name, FileDescriptor fd);
    /// Closes a descriptor. Errors: `not_found`.
    Status close(const std::string& name);
    /// Hands a descriptor over; the name is free again. Errors: `not_found`.
    Result<FileDescriptor> take(const std::string& name);

    std::size_t size() const { return descriptors_.size(); }

private:
    std::map<std::string, FileDescriptor> descriptors_;
};

}  // namespace godwit
