#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>

#include "cli/subcommands.h"
#include "io/system_error.h"
#include "tools/trace_chart.h"
#include "tools/trace_reader.h"
#include "tools/trace_timeline.h"

namespace godwit {

namespace {

struct TraceArguments {
    std::string file;
    bool every_window = false;
    std::optional<std::string> svg;
    std::optional<std::size_t> migration;
};

struct FileCloser {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

Result<Trace> read_file(const std::string& path) {
    const File opened(path == "-" ? nullptr : std::fopen(path.c_str(), "re"));
    std::FILE* file = path == "-" ? stdin : opened.get();
    if (file == nullptr) {
        return fail_errno(ErrorCode::io, fmt::format("cannot open '{}'", path), errno);
    }
    TraceReader reader;
    std::array<char, 65536> bytes{};
    while (const std::size_t count = std::fread(bytes.data(), 1, bytes.size(), file)) {
        if (Status taken = reader.feed({bytes.data(), count}); !taken) {
            return fail(taken.error().code, fmt::format("{}: {}", path, taken.error().message), taken.error().hint);
        }
    }
    if (std::ferror(file) != 0) {
        return fail_errno(ErrorCode::io, fmt::format("cannot read '{}'", path), errno);
    }
    Result<Trace> trace = reader.finish();
    return trace ? std::move(trace)
                 : fail(trace.error().code, fmt::format("{}: {}", path, trace.error().message), trace.error().hint);
}

Status write_file(const std::string& path, const std::string& text) {
    File file(std::fopen(path.c_str(), "we"));
    if (!file) {
        return fail_errno(ErrorCode::io, fmt::format("cannot make '{}'", path), errno);
    }
    const bool written = std::fwrite(text.data(), 1, text.size(), file.get()) == text.size();
    if (std::fclose(file.release()) != 0 || !written) {
        return fail_errno(ErrorCode::io, fmt::format("cannot write '{}'", path), errno);
    }
    return {};
}

/// The attempt to draw: the one that was asked for, or the last.
Result<const TraceAttempt*> choose(const Trace& trace, const TraceArguments& arguments) {
    const std::size_t number = arguments.migration.value_or(trace.attempts.size());
    if (number < 1 || number > trace.attempts.size()) {
        return fail(ErrorCode::not_found, fmt::format("the trace holds {} migrations", trace.attempts.size()));
    }
    return &trace.attempts[number - 1];
}

Status show(const TraceArguments& arguments) {
    const Result<Trace> trace = read_file(arguments.file);
    if (!trace) {
        return fail(trace.error());
    }
    if (!arguments.svg) {
        tell_trace(*trace, {.every_window = arguments.every_window},
                   [](const std::string& line) { fmt::print("{}\n", line); });
        return {};
    }
    const Result<const TraceAttempt*> attempt = choose(*trace, arguments);
    return attempt ? write_file(*arguments.svg, draw_trace(trace->header, **attempt)) : fail(attempt.error());
}

}  // namespace

void add_trace_command(CLI::App& app, int& status) {
    auto arguments = std::make_shared<TraceArguments>();
    CLI::App* command = app.add_subcommand("trace", "Show or draw the story of a migration that --trace has written");
    command->add_option("FILE", arguments->file, "a trace of 'godwit run --trace FILE'; - is the standard input")
        ->required();
    CLI::Option* windows =
        command->add_flag("--windows", arguments->every_window, "a line for each window of measurement");
    CLI::Option* svg = command->add_option("--svg", arguments->svg, "draw it into this file instead of printing it")
                           ->excludes(windows);
    command->add_option("--migration", arguments->migration, "which migration of the trace to draw (default: the last)")
        ->needs(svg);
    command->footer(
        "Also shows traces of migrations that go on, or whose program was killed.\n"
        "Exit status: 0, or 1 when the file is no trace; the message names the line.\n\n"
        "Examples:\n"
        "  godwit trace source.trace\n"
        "  godwit trace source.trace --svg source.svg");
    command->callback([arguments, &status] {
        const Status outcome = show(*arguments);
        std::fflush(stdout);
        if (!outcome) {
            print_error(outcome.error());
        }
        status = outcome ? exit_success : exit_failure;
    });
}

}  // namespace godwit
