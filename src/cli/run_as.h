#pragma once

#include <sys/types.h>

#include <string>

#include "godwit/error.h"
#include "io/file_owner.h"

namespace godwit {

/// A user as whom a program that was started by root goes on.
struct RunAs {
    std::string name;
    uid_t user = 0;
    gid_t group = 0;

    FileOwner owner() const { return {user, group}; }
};

/// Looks a user of this host up by name. Errors: `invalid_argument`; also for root, which would be no change.
Result<RunAs> find_user(const std::string& name);

/// Makes the user's identity and groups those of the whole program, all of its threads, for good. With root's identity
/// its capabilities go. The process remains one that the same user's programs may trace and write to, which an RDMA
/// source on the same host does; guest memory is kept out of core dumps by other means. Errors: `unsupported` when the
/// program may not do that.
Status become(const RunAs& user);

}  // namespace godwit
