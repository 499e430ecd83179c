#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>

#include "io/spdlog_log.h"

namespace godwit {

/// What the command line says about log lines.
struct LogArguments {
    std::string level = "info";
    std::optional<std::string> file;
    bool verbose = false;
};

/// Adds --log-level, --log-file and --verbose. `arguments` outlives the parsing.
void add_log_options(CLI::App& command, LogArguments& arguments);

/// The level must be one of those that the option allows.
LogOptions log_options(const LogArguments& arguments);

}  // namespace godwit
