#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "godwit/error.h"

namespace godwit {

struct TopOptions {
    static constexpr std::size_t most_sockets = 256;

    std::vector<std::string> sockets;
    std::chrono::milliseconds interval{500};
    bool once = false;
    bool json = false;
};

/// Watches machines until the user has had enough; returns the program's exit status. Errors: `invalid_argument` for
/// too many, `io` when signals cannot be caught.
Result<int> run_top(const TopOptions& options);

}  // namespace godwit
