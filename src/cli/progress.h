#pragma once

#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "cli/migration_panel.h"
#include "cli/terminal.h"
#include "monitor/json.h"

namespace godwit {

/// One line about a migration on its way, from the answer of `query-migrate` of a godwit or a QEMU.
std::string progress_line(const Json& report);

/// What the user wants to know at the end of a completed migration.
std::string completion_text(const Json& report);

/// Shows how a migration goes. One thread.
class Progress {
public:
    using Clock = std::chrono::steady_clock;
    virtual ~Progress() = default;
    /// Takes an answer of `query-migrate`, and shows it if it is time to. `now` is when it came.
    virtual void show(const Json& report, Clock::time_point now) = 0;
    /// Something else is printed next.
    virtual void finish() = 0;
};

/// A line on the standard output every second.
class LineProgress : public Progress {
public:
    void show(const Json& report, Clock::time_point now) override;
    void finish() override {}

private:
    Clock::time_point next_{};
};

/// A view of bar, rates and spark-lines on the standard error output, a terminal, that is painted again and again.
class LiveProgress : public Progress {
public:
    explicit LiveProgress(std::string title) : title_(std::move(title)) {}
    void show(const Json& report, Clock::time_point now) override;
    void finish() override { block_.leave(); }

private:
    const std::string title_;
    const Glyphs glyphs_ = glyphs_of_environment();
    MigrationCourse course_;
    RepaintedBlock block_{STDERR_FILENO};
    Clock::time_point next_{};
};

/// Live where the standard error output is a terminal, otherwise lines.
std::unique_ptr<Progress> make_progress(const std::string& title);

}  // namespace godwit
