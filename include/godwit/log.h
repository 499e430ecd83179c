#pragma once

#include <string_view>

namespace godwit {

enum class LogLevel { debug, info, warning, error };

/// Where the library's log lines go. Any thread may call it; it must not call back into the library.
class Log {
public:
    virtual ~Log() = default;
    virtual void write(LogLevel level, std::string_view line) = 0;
};

}  // namespace godwit
