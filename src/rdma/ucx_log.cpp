#include "rdma/ucx_log.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "base/printable.h"

namespace godwit::rdma {
namespace {

/// UCX's handlers get no argument of ours, so that the way from a line to its log leads through the thread.
thread_local Log* log_of_thread = nullptr;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

LogLevel level_of(ucs_log_level_t level) {
    if (level <= UCS_LOG_LEVEL_ERROR) {
        return LogLevel::error;
    }
    if (level == UCS_LOG_LEVEL_WARN) {
        return LogLevel::warning;
    }
    // Who raises UCX_LOG_LEVEL wants to see the lines, whatever the level of our own log.
    return LogLevel::info;
}

}  // namespace

UcxLogScope::UcxLogScope(Log& log) : outer_(std::exchange(log_of_thread, &log)) {}

UcxLogScope::~UcxLogScope() {
    log_of_thread = outer_;
}

UcxLogVerdict write_ucx_log(const char* /*file*/, unsigned /*line*/, const char* /*function*/, ucs_log_level_t level,
                            const void* /*component*/, const char* format, std::va_list arguments) {
    if (std::getenv("UCX_LOG_FILE") != nullptr) {  // NOLINT(concurrency-mt-unsafe): nothing of ours writes to it
        return UcxLogVerdict::go_on;
    }
    std::array<char, 1024> text{};
    std::vsnprintf(text.data(), text.size(), format, arguments);
    const std::string line = fmt::format("UCX: {}", printable(std::string_view(text.data())));
    if (log_of_thread != nullptr) {
        log_of_thread->write(level_of(level), line);
    } else {
        fmt::print(stderr, "{}\n", line);
    }
    return UcxLogVerdict::stop;
}

}  // namespace godwit::rdma
