#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "godwit/log.h"

namespace godwit {

/// Begins each line with a machine's name, so that the lines of several can be told apart.
class NamedLog : public Log {
public:
    /// An empty name adds nothing. `log` outlives this one.
    NamedLog(Log& log, std::string name) : log_(log), name_(std::move(name)) {}
    void write(LogLevel level, std::string_view line) override {
        log_.write(level, name_.empty() ? std::string(line) : fmt::format("{}: {}", name_, line));
    }

private:
    Log& log_;
    const std::string name_;
};

}  // namespace godwit
