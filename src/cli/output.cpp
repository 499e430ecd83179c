#include "cli/output.h"

#include <cerrno>
#include <cstdio>

#include "io/system_error.h"

namespace godwit {

void put_output(std::string_view text) {
    // A failure is kept by the stream until `finish_output` asks.
    static_cast<void>(std::fwrite(text.data(), 1, text.size(), stdout));
}

Status finish_output() {
    errno = 0;
    const bool flushed = std::fflush(stdout) == 0;
    if (flushed && std::ferror(stdout) == 0) {
        return {};
    }
    constexpr const char* lost = "the output could not be written to its end";
    return errno != 0 ? fail_errno(ErrorCode::io, lost, errno) : fail(ErrorCode::io, lost);
}

}  // namespace godwit
