#pragma once

#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "godwit/clock.h"
#include "godwit/error.h"
#include "godwit/log.h"

namespace godwit {

/// The file that a trace goes to, one JSON object on each line (docs/tracing.md). Any thread.
///
/// Nothing here waits for a reader, and no error reaches the migration: the first one is logged, and nothing more is
/// written.
class TraceFile {
public:
    /// What the first line says of the process.
    struct Origin {
        std::string_view role;  ///< "source" or "destination": what the program was started as
        std::string_view name;  ///< the machine's; may be empty
    };

    /// Makes the file, which only its owner may read, or empties the one that is there, and writes the first line.
    /// `clock` and `log` outlive the trace. Errors: `io`.
    static Result<std::unique_ptr<TraceFile>> create(const std::string& path, const Origin& origin, const Clock& clock,
                                                     Log& log);

    /// Adds a line, which ends with a newline, to the buffer.
    void write(std::string_view line);
    /// Hands over to the system what has been buffered.
    void flush();

    const Clock& clock() const { return clock_; }

private:
    struct Closer {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    TraceFile(std::string path, std::FILE* file, const Clock& clock, Log& log)
        : path_(std::move(path)), clock_(clock), log_(log), file_(file) {}
    void give_up(int error);

    const std::string path_;
    const Clock& clock_;
    Log& log_;
    std::mutex mutex_;
    std::unique_ptr<std::FILE, Closer> file_;  // under mutex_; null after an error
};

}  // namespace godwit
