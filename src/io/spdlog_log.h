#pragma once

#include <memory>
#include <optional>
#include <string>

#include "godwit/error.h"
#include "godwit/log.h"

namespace spdlog {
class logger;
}

namespace godwit {

/// Writes the library's log lines to a spdlog logger, which is given; none is registered globally.
class SpdlogLog : public Log {
public:
    explicit SpdlogLog(std::shared_ptr<spdlog::logger> logger);
    ~SpdlogLog() override;
    void write(LogLevel level, std::string_view line) override;

private:
    std::shared_ptr<spdlog::logger> logger_;
};

struct LogOptions {
    /// Lines below this level are dropped.
    LogLevel level = LogLevel::info;
    bool to_stderr = true;
    /// A file to append to.
    std::optional<std::string> file = std::nullopt;
};

/// Makes a log to stderr, to a file, or to both. Errors: `io` when the file cannot be written.
Result<std::unique_ptr<SpdlogLog>> make_log(const LogOptions& options);

}  // namespace godwit
