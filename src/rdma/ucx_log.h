#pragma once

#include <ucs/config/types.h>

#include <cstdarg>

#include "godwit/log.h"

namespace godwit::rdma {

/// While it exists, what UCX has to say on this thread goes to `log`.
class UcxLogScope {
public:
    explicit UcxLogScope(Log& log);
    ~UcxLogScope();
    UcxLogScope(const UcxLogScope&) = delete;
    UcxLogScope& operator=(const UcxLogScope&) = delete;

private:
    Log* outer_;
};

/// What UCX calls for each line of its log; the result says whether it is to print the line itself as well.
enum class UcxLogVerdict : int { stop = 0, go_on = 1 };
using UcxLogHandler = UcxLogVerdict (*)(const char* file, unsigned line, const char* function, ucs_log_level_t level,
                                        const void* component, const char* format, std::va_list arguments);

/// Hands the line to the thread's scope. Without one (UCX has threads of its own) it goes to the standard error, never
/// to the standard output. Whoever set UCX_LOG_FILE gets the lines there instead.
UcxLogVerdict write_ucx_log(const char* file, unsigned line, const char* function, ucs_log_level_t level,
                            const void* component, const char* format, std::va_list arguments);

}  // namespace godwit::rdma
