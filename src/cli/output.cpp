#include "cli/output.h"

#include <cerrno>
#include <cstdio>

#include "cli/subcommands.h"
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

int finish_answer(Result<bool> answer) {
    constexpr int yes = 0;
    constexpr int no = 1;
    constexpr int trouble = 2;
    if (const Status told = finish_output(); answer && !told) {
        answer = fail(told.error());
    }
    if (!answer) {
        print_error(answer.error());
        return trouble;
    }
    return *answer ? yes : no;
}

}  // namespace godwit
