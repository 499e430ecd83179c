#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "godwit/clock.h"
#include "godwit/error.h"

namespace godwit {

/// What a `FaultyBlockDevice` does to one kind of requests.
struct FaultRule {
    enum class Operation { read, write, flush, write_zeroes };

    Operation operation = Operation::read;
    /// Counted from the moment at which the rule was armed, 1 for the next request of the kind: the rule does its deed
    /// once. 0: with every request.
    std::uint64_t nth = 0;
    /// With this errno value the request fails. 0: it is only slow.
    int error_number = 0;
    /// For so long the request waits before it is carried out.
    Duration delay{};

    bool operator==(const FaultRule&) const = default;
};

inline constexpr std::size_t max_fault_rules = 16;
inline constexpr std::chrono::milliseconds max_fault_delay{60'000};

/// Takes apart "OP:N:ERRNO" and "OP:N:delay=MS", several of them joined by "+". OP is read, write, flush or
/// write-zeroes; ERRNO is a number or one of EIO, ENOSPC, EDQUOT, EROFS, ENOMEM, ETIMEDOUT. Errors: `invalid_argument`.
Result<std::vector<FaultRule>> parse_fault_rules(std::string_view text);

std::string_view to_string(FaultRule::Operation operation);

}  // namespace godwit
