#include "tools/trace_file.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "godwit/version.h"
#include "io/system_error.h"
#include "monitor/json.h"
#include "tools/trace_format.h"

namespace godwit {

namespace {

/// "2026-11-28T09:41:08.123Z"
std::string wall_clock() {
    const auto now = std::chrono::system_clock::now();
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(now)), ms);
}

std::string first_line(const TraceFile::Origin& origin, Instant now) {
    const Json line = {{trace_format::mark, trace_format::version},
                       {"version", version_string},
                       {"role", origin.role},
                       {"name", origin.name},
                       {"wall_clock", wall_clock()},
                       {"t_ns", now.time_since_epoch().count()}};
    return to_text(line) + "\n";
}

}  // namespace

Result<std::unique_ptr<TraceFile>> TraceFile::create(const std::string& path, const Origin& origin, const Clock& clock,
                                                     Log& log) {
    // Without O_NONBLOCK a pipe that nobody reads would hold up the migration.
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd < 0) {
        return fail_errno(ErrorCode::io, fmt::format("cannot make the trace file '{}'", path), errno);
    }
    // Emptied only once it is certain that it is not another one's.
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        ::close(fd);
        return fail(ErrorCode::busy, fmt::format("the trace file '{}' is another program's", path),
                    "choose another name");
    }
    if (::ftruncate(fd, 0) != 0 && errno != EINVAL) {  // EINVAL: a pipe
        const int error = errno;
        ::close(fd);
        return fail_errno(ErrorCode::io, fmt::format("cannot empty the trace file '{}'", path), error);
    }
    std::FILE* file = ::fdopen(fd, "w");
    if (file == nullptr) {
        const int error = errno;
        ::close(fd);
        return fail_errno(ErrorCode::io, fmt::format("cannot make the trace file '{}'", path), error);
    }
    std::unique_ptr<TraceFile> trace(new TraceFile(path, file, clock, log));
    const std::string line = first_line(origin, clock.now());
    if (std::fwrite(line.data(), 1, line.size(), file) != line.size() || std::fflush(file) != 0) {
        return fail_errno(ErrorCode::io, fmt::format("cannot write the trace file '{}'", path), errno);
    }
    return trace;
}

void TraceFile::write(std::string_view line) {
    const std::lock_guard lock(mutex_);
    if (file_ && std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size()) {
        give_up(errno);
    }
}

void TraceFile::flush() {
    const std::lock_guard lock(mutex_);
    if (file_ && std::fflush(file_.get()) != 0) {
        give_up(errno);
    }
}

void TraceFile::give_up(int error) {
    file_.reset();
    log_.write(LogLevel::warning, fmt::format("the trace ends: cannot write '{}': {}; the migration is not affected",
                                              path_, errno_text(error)));
}

}  // namespace godwit
