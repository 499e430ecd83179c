#pragma once

#include <chrono>
#include <string>

#include "monitor/json.h"

namespace godwit {

/// "1.5 GiB".
std::string format_bytes(double bytes);

/// One line about a migration on its way, from the answer of `query-migrate` of a godwit or a QEMU.
std::string progress_line(const Json& report);

/// What the user wants to know at the end of a completed migration.
std::string completion_text(const Json& report);

/// Shows progress: on a terminal in one line that is written again and again, otherwise as a line every second.
class ProgressPrinter {
public:
    using Clock = std::chrono::steady_clock;
    explicit ProgressPrinter(bool terminal) : terminal_(terminal) {}
    ~ProgressPrinter() { finish(); }
    ProgressPrinter(const ProgressPrinter&) = delete;
    ProgressPrinter& operator=(const ProgressPrinter&) = delete;

    /// Prints the line if it is time to. `now` is when the report was made.
    void show(const std::string& line, Clock::time_point now);
    /// Leaves the line that is being written again, so that something else can be printed.
    void finish();

private:
    bool terminal_;
    bool line_open_ = false;
    Clock::time_point next_{};
};

}  // namespace godwit
