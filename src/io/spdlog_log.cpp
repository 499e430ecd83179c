#include "io/spdlog_log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <cerrno>
#include <cstdio>
#include <mutex>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "io/system_error.h"

namespace godwit {

namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warning:
            return spdlog::level::warn;
        case LogLevel::error:
            return spdlog::level::err;
    }
    return spdlog::level::err;
}

struct FileCloser {
    void operator()(std::FILE* file) const { std::fclose(file); }
};

/// spdlog's own file sink opens its file without close-on-exec.
class FileSink : public spdlog::sinks::base_sink<std::mutex> {
public:
    explicit FileSink(std::FILE* file) : file_(file) {}

protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t line;
        formatter_->format(message, line);
        // There is no place to report that a log line is lost (a full disk); the program goes on.
        [[maybe_unused]] const std::size_t written = std::fwrite(line.data(), 1, line.size(), file_.get());
    }
    void flush_() override { std::fflush(file_.get()); }

private:
    std::unique_ptr<std::FILE, FileCloser> file_;
};

}  // namespace

SpdlogLog::SpdlogLog(std::shared_ptr<spdlog::logger> logger) : logger_(std::move(logger)) {
    GODWIT_ASSERT(logger_ != nullptr, "a log needs a logger");
}

SpdlogLog::~SpdlogLog() = default;

void SpdlogLog::write(LogLevel level, std::string_view line) {
    // The line is not a format string: it may hold what a peer sent.
    logger_->log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

Result<std::unique_ptr<SpdlogLog>> make_log(const LogOptions& options) {
    try {
        std::vector<spdlog::sink_ptr> sinks;
        if (options.to_stderr) {
            sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
        }
        if (options.file) {
            std::FILE* file = std::fopen(options.file->c_str(), "ae");
            if (file == nullptr) {
                return fail_errno(ErrorCode::io, "cannot open the log file '" + *options.file + "'", errno);
            }
            sinks.push_back(std::make_shared<FileSink>(file));
        }
        auto logger = std::make_shared<spdlog::logger>("godwit", sinks.begin(), sinks.end());
        logger->set_level(spdlog_level(options.level));
        logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %n %l: %v");
        logger->flush_on(spdlog_level(options.level));
        return std::make_unique<SpdlogLog>(std::move(logger));
    } catch (const std::exception& error) {
        return fail(ErrorCode::io, std::string("cannot open the log: ") + error.what());
    }
}

}  // namespace godwit
