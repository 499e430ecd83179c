#include "io/named_descriptors.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "io/system_error.h"

namespace godwit {

namespace {

constexpr std::size_t max_name_bytes = 255;

tl::unexpected<Error> unknown(const std::string& name) {
    return fail(ErrorCode::not_found, fmt::format("File descriptor named '{}' not found", name), "pass one with getfd");
}

}  // namespace

Status NamedDescriptors::put(const std::string& name, FileDescriptor fd) {
    if (name.empty() || name.size() > max_name_bytes || (name.front() >= '0' && name.front() <= '9')) {
        return fail(
            ErrorCode::invalid_argument,
            fmt::format("a descriptor's name must have 1 to {} bytes and not begin with a digit", max_name_bytes));
    }
    if (!fd.valid()) {
        return fail(ErrorCode::invalid_argument, fmt::format("no descriptor came along for the name '{}'", name),
                    "send it with the command, as SCM_RIGHTS over the unix socket");
    }
    if (::fcntl(fd.get(), F_SETFD, FD_CLOEXEC) != 0) {
        return fail_errno(ErrorCode::io, fmt::format("descriptor '{}' cannot be used", name), errno);
    }
    if (!descriptors_.contains(name) && descriptors_.size() >= max_count) {
        return fail(ErrorCode::busy, fmt::format("{} descriptors are kept already", max_count),
                    "close some with closefd");
    }
    descriptors_[name] = std::move(fd);
    return {};
}

Status NamedDescriptors::close(const std::string& name) {
    if (descriptors_.erase(name) == 0) {
        return unknown(name);
    }
    return {};
}

Result<FileDescriptor> NamedDescriptors::take(const std::string& name) {
    const auto found = descriptors_.find(name);
    if (found == descriptors_.end()) {
        return unknown(name);
    }
    FileDescriptor fd = std::move(found->second);
    descriptors_.erase(found);
    return fd;
}

}  // namespace godwit
