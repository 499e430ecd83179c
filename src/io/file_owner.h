#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

namespace godwit {

/// Whose files that the program makes are to be, where it goes on as somebody else later.
struct FileOwner {
    uid_t user = 0;
    gid_t group = 0;
};

/// Gives a file of ours to `owner`, if there is one. An errno value, or 0.
inline int give_file(int file, const std::optional<FileOwner>& owner) {
    return !owner || ::fchown(file, owner->user, owner->group) == 0 ? 0 : errno;
}

}  // namespace godwit
