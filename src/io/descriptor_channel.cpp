#include "io/descriptor_channel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "io/file_channel.h"
#include "io/pipe_channel.h"
#include "io/socket_channel.h"
#include "io/system_error.h"

namespace godwit {

namespace {

constexpr int first_ordinary_fd = 3;

template <typename Specific>
Result<std::unique_ptr<Channel>> as_channel(Result<std::unique_ptr<Specific>> channel) {
    if (!channel) {
        return fail(channel.error());
    }
    return std::move(*channel);
}

}  // namespace

Result<std::unique_ptr<Channel>> make_descriptor_channel(FileDescriptor fd, Direction direction,
                                                         std::string description, const Clock& clock) {
    struct stat info {};
    const int flags = ::fcntl(fd.get(), F_GETFL);
    if (flags < 0 || ::fstat(fd.get(), &info) != 0) {
        return fail_errno(ErrorCode::io, fmt::format("{} cannot be used", description), errno);
    }
    if (S_ISSOCK(info.st_mode)) {
        return as_channel(SocketChannel::create(std::move(fd), std::move(description), clock));
    }
    const int wrong_mode = direction == Direction::outgoing ? O_RDONLY : O_WRONLY;
    if ((flags & O_ACCMODE) == wrong_mode || (flags & O_PATH) != 0) {
        return fail(
            ErrorCode::unsupported,
            fmt::format("{} is not open for {}", description, direction == Direction::outgoing ? "writing" : "reading"),
            "a socket, the right end of a pipe, or a file opened for that");
    }
    if (S_ISREG(info.st_mode) || S_ISBLK(info.st_mode)) {
        return as_channel(FileChannel::over(std::move(fd), direction, std::move(description), clock));
    }
    if (S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode)) {
        return as_channel(PipeChannel::create(std::move(fd), direction, std::move(description), clock));
    }
    return fail(ErrorCode::unsupported, fmt::format("{} is of a kind that cannot carry a migration", description),
                "a socket, a pipe or a file can");
}

Result<FileDescriptor> adopt_inherited_descriptor(int number) {
    const int flags = ::fcntl(number, F_GETFD);
    if (flags < 0) {
        return fail(ErrorCode::not_found, fmt::format("no descriptor {} is open", number),
                    "let the process that starts this one leave it open");
    }
    if (number < first_ordinary_fd) {
        const int copy = ::fcntl(number, F_DUPFD_CLOEXEC, first_ordinary_fd);
        if (copy < 0) {
            return fail_errno(ErrorCode::io, fmt::format("cannot copy descriptor {}", number), errno);
        }
        return FileDescriptor(copy);
    }
    if ((flags & FD_CLOEXEC) != 0) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("descriptor {} was not inherited: it is the program's own", number),
                    "pass one with getfd and name it: fd:NAME");
    }
    if (::fcntl(number, F_SETFD, FD_CLOEXEC) != 0) {
        return fail_errno(ErrorCode::io, fmt::format("descriptor {} cannot be used", number), errno);
    }
    return FileDescriptor(number);
}

}  // namespace godwit
