#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "options.h"
#include "trial.h"

namespace godwit::sim {

/// Counts what came of many runs, prints the failures as they come and the sums at the end.
class Tally {
public:
    explicit Tally(const Options& options) : options_(options) {}

    /// `replay`: the options that run it once more.
    void add(const Plan& plan, const Outcome& outcome, const std::string& replay);
    bool may_go_on(double elapsed_s) const {
        return failures_ < options_.keep_going && (!options_.seconds || elapsed_s < *options_.seconds);
    }
    void print(double elapsed_s) const;
    bool good() const { return failures_ == 0 && done_ > 0; }

private:
    const Options& options_;
    std::map<std::string, std::uint64_t> counts_;
    /// How often a kind of violation was seen, and how it is replayed the first time.
    std::map<std::string, std::pair<std::uint64_t, std::string>> kinds_;
    std::uint64_t failures_ = 0;
    std::uint64_t steps_ = 0;
    std::uint64_t done_ = 0;
};

}  // namespace godwit::sim
