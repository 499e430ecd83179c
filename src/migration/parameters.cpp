#include "godwit/parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace godwit {
namespace {

using P = MigrationParameters;

constexpr std::uint64_t ten_minutes_ms = 600'000;

/// QEMU's error texts write names with underscores.
std::string underscored(std::string_view name) {
    std::string text(name);
    std::replace(text.begin(), text.end(), '-', '_');
    return text;
}

Status set_switch(P& parameters, const ParameterInfo& info, const ParameterValue& value) {
    const bool* given = std::get_if<bool>(&value);
    if (given == nullptr) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("Invalid parameter type for '{}', expected: boolean", info.name));
    }
    parameters.*std::get<bool P::*>(info.member) = *given;
    return {};
}

}  // namespace

const std::vector<ParameterInfo>& parameter_table() {
    static const std::vector<ParameterInfo> table{
        {"connect-timeout", "ms", "longest time to reach the destination", false, false, 1, ten_minutes_ms,
         &P::connect_timeout_ms},
        {"downtime-limit", "ms", "longest predicted stop of the guest that is accepted for the switchover", false, true,
         0, 2'000'000, &P::downtime_limit_ms},
        {"events", "", "emit MIGRATION and MIGRATION_PASS events", true, false, 0, 1, &P::events},
        {"handshake-timeout", "ms", "longest time for the first answer of a peer", false, false, 1, ten_minutes_ms,
         &P::handshake_timeout_ms},
        {"idle-timeout", "ms", "longest time without any progress of the peer", false, true, 1, ten_minutes_ms,
         &P::idle_timeout_ms},
        {"legacy-stream", "", "send the stream in the shape of QEMU 1.5 and 1.6", true, false, 0, 1, &P::legacy_stream},
        {"max-bandwidth", "bytes per second", "limit of the whole migration while the guest runs; 0 is no limit", false,
         true, 0, std::numeric_limits<std::int64_t>::max(), &P::max_bandwidth_bytes_per_s, true},
        {"return-path", "", "ask the destination to answer, where the transport allows it", true, false, 0, 1,
         &P::return_path},
        {"switchover-timeout", "ms", "longest time for the switchover before the guest goes on at the source", false,
         true, 1, ten_minutes_ms, &P::switchover_timeout_ms},
    };
    return table;
}

const ParameterInfo* find_parameter(std::string_view name) {
    for (const ParameterInfo& info : parameter_table()) {
        if (info.name == name) {
            return &info;
        }
    }
    return nullptr;
}

ParameterValue get_parameter(const MigrationParameters& parameters, const ParameterInfo& info) {
    return std::visit([&](auto member) { return ParameterValue(parameters.*member); }, info.member);
}

Status set_parameter(MigrationParameters& parameters, const ParameterInfo& info, const ParameterValue& value) {
    if (std::holds_alternative<bool P::*>(info.member)) {
        return set_switch(parameters, info, value);
    }
    const std::uint64_t* given = std::get_if<std::uint64_t>(&value);
    if (given == nullptr) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("Invalid parameter type for '{}', expected: integer", info.name));
    }
    const std::uint64_t number = info.saturates ? std::min(*given, info.maximum) : *given;
    if (number < info.minimum || number > info.maximum) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("Parameter '{}' expects an integer in the range of {} to {}", underscored(info.name),
                                info.minimum, info.maximum));
    }
    parameters.*std::get<std::uint64_t P::*>(info.member) = number;
    return {};
}

}  // namespace godwit
