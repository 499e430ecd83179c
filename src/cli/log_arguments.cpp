#include "cli/log_arguments.h"

#include <CLI/CLI.hpp>
#include <array>
#include <utility>
#include <vector>

namespace godwit {

namespace {

constexpr std::array<std::pair<const char*, LogLevel>, 4> levels{{
    {"debug", LogLevel::debug},
    {"info", LogLevel::info},
    {"warning", LogLevel::warning},
    {"error", LogLevel::error},
}};

}  // namespace

void add_log_options(CLI::App& command, LogArguments& arguments) {
    std::vector<std::string> names;
    names.reserve(levels.size());
    for (const auto& [name, level] : levels) {
        names.emplace_back(name);
    }
    CLI::Option* level = command.add_option("--log-level", arguments.level, "least severity of log lines")
                             ->capture_default_str()
                             ->check(CLI::IsMember(names));
    command.add_option("--log-file", arguments.file, "append log lines to this file instead of the standard error");
    command.add_flag("--verbose", arguments.verbose, "the same as --log-level debug")->excludes(level);
}

LogOptions log_options(const LogArguments& arguments) {
    LogOptions options;
    for (const auto& [name, level] : levels) {
        if (arguments.level == name) {
            options.level = level;
        }
    }
    if (arguments.verbose) {
        options.level = LogLevel::debug;
    }
    options.file = arguments.file;
    options.to_stderr = !arguments.file;
    return options;
}

}  // namespace godwit
