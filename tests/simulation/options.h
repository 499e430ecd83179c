#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace godwit::sim {

/// What the program `simulation` was asked to do.
struct Options {
    enum class Kind { scenarios, disks, direct, race, every_step };
    Kind kind = Kind::scenarios;
    std::uint64_t runs = 1'000;
    std::uint64_t first_seed = 1;
    std::optional<std::uint64_t> seed;
    /// Of `every_step`: only this disturbance, only at this moment.
    std::optional<std::uint64_t> disturbance;
    std::optional<std::uint64_t> moment;
    std::optional<double> seconds;
    std::uint64_t keep_going = 1;
    bool trace = false;
    bool statistics = false;

    std::uint64_t first() const { return seed.value_or(first_seed); }
    std::uint64_t count() const { return seed ? 1 : runs; }
};

/// Ends the program with 2 and the usage when the arguments cannot be understood, with 0 after `--help`.
Options parse_options(int count, char** arguments);

}  // namespace godwit::sim
