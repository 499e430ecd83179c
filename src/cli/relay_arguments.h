#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/log_arguments.h"
#include "godwit/error.h"
#include "tools/relay_options.h"

namespace godwit {

/// What the command line says about a relay, as it stands there.
struct RelayArguments {
    /// On purpose, for tests; empty where nothing is to be done.
    struct Mischief {
        std::string cut_after;
        std::string stall_after;
        std::string corrupt;
    };

    std::string listen;
    std::string to;
    std::string record;
    std::string record_return;
    std::optional<std::uint64_t> bytes_per_s;
    std::optional<int> interval_ms;
    bool keep = false;
    bool json = false;
    Mischief forward;
    Mischief backward;
    LogArguments log;
};

/// `arguments` outlives the parsing.
void add_relay_options(CLI::App& command, RelayArguments& arguments);

/// Errors: `invalid_argument`, naming what is wrong.
Result<RelayOptions> relay_options(const RelayArguments& arguments);

}  // namespace godwit
