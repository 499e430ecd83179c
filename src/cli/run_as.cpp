#include "cli/run_as.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "io/system_error.h"

namespace godwit {

namespace {

/// An entry of the user database, with its texts.
constexpr std::size_t entry_bytes = std::size_t{64} * 1024;

tl::unexpected<Error> cannot_become(const RunAs& user, int error) {
    return fail_errno(ErrorCode::unsupported, fmt::format("cannot go on as the user '{}'", user.name), error,
                      "--run-as is for a program that root starts");
}

}  // namespace

Result<RunAs> find_user(const std::string& name) {
    std::vector<char> texts(entry_bytes);
    passwd entry{};
    passwd* found = nullptr;
    const int error = ::getpwnam_r(name.c_str(), &entry, texts.data(), texts.size(), &found);
    if (found == nullptr) {
        return error == 0
                   ? fail(ErrorCode::invalid_argument, fmt::format("there is no user '{}'", name))
                   : fail_errno(ErrorCode::invalid_argument, fmt::format("cannot find the user '{}'", name), error);
    }
    if (entry.pw_uid == 0) {
        return fail(ErrorCode::invalid_argument, fmt::format("the user '{}' is root", name),
                    "name a user without privileges");
    }
    return RunAs{name, entry.pw_uid, entry.pw_gid};
}

Status become(const RunAs& user) {
    // The C library does each of these for all threads. The user last: only root may change the groups.
    if (::initgroups(user.name.c_str(), user.group) != 0 || ::setresgid(user.group, user.group, user.group) != 0 ||
        ::setresuid(user.user, user.user, user.user) != 0) {
        return cannot_become(user, errno);
    }
    if (::setuid(0) == 0 || ::setgid(0) == 0) {
        return fail(ErrorCode::internal, fmt::format("the program can become root again after --run-as {}", user.name));
    }
    if (::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) {
        return cannot_become(user, errno);
    }
    return {};
}

}  // namespace godwit
