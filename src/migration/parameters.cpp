#include "godwit/parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "godwit/units.h"

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

Status wrong_type(const ParameterInfo& info, std::string_view expected) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("Invalid parameter type for '{}', expected: {}", info.name, expected));
}

Status set_member(P& parameters, const ParameterInfo& info, bool P::*member, const ParameterValue& value) {
    const bool* given = std::get_if<bool>(&value);
    if (given == nullptr) {
        return wrong_type(info, "boolean");
    }
    parameters.*member = *given;
    return {};
}

Status set_member(P& parameters, const ParameterInfo& info, std::uint64_t P::*member, const ParameterValue& value) {
    const std::uint64_t* given = std::get_if<std::uint64_t>(&value);
    if (given == nullptr) {
        return wrong_type(info, "integer");
    }
    const std::uint64_t number = info.saturates ? std::min(*given, info.maximum) : *given;
    if (info.power_of_two && (!std::has_single_bit(number) || number < info.minimum || number > info.maximum)) {
        return fail(ErrorCode::invalid_argument, fmt::format("Parameter '{}' expects a power of two from {} to {}",
                                                             underscored(info.name), info.minimum, info.maximum));
    }
    if (number < info.minimum || number > info.maximum) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("Parameter '{}' expects an integer in the range of {} to {}", underscored(info.name),
                                info.minimum, info.maximum));
    }
    parameters.*member = number;
    return {};
}

}  // namespace

const std::vector<ParameterInfo>& parameter_table() {
    static const std::vector<ParameterInfo> table{
        {.name = "connect-timeout",
         .unit = "ms",
         .help = "longest time to reach the destination",
         .member = &P::connect_timeout_ms,
         .minimum = 1,
         .maximum = ten_minutes_ms},
        {.name = "downtime-limit",
         .unit = "ms",
         .help = "longest predicted stop of the guest that is accepted for the switchover",
         .member = &P::downtime_limit_ms,
         .while_running = true,
         .maximum = 2'000'000},
        {.name = "events",
         .help = "emit MIGRATION and MIGRATION_PASS events",
         .member = &P::events,
         .capability = true},
        {.name = "handshake-timeout",
         .unit = "ms",
         .help = "longest time for the first answer of a peer",
         .member = &P::handshake_timeout_ms,
         .minimum = 1,
         .maximum = ten_minutes_ms},
        {.name = "idle-timeout",
         .unit = "ms",
         .help = "longest time without any progress of the peer",
         .member = &P::idle_timeout_ms,
         .while_running = true,
         .minimum = 1,
         .maximum = ten_minutes_ms},
        {.name = "legacy-stream",
         .help = "send the stream in the shape of QEMU 1.5 and 1.6",
         .member = &P::legacy_stream,
         .capability = true},
        {.name = "max-bandwidth",
         .unit = "bytes per second",
         .help = "limit of the whole migration while the guest runs; 0 is no limit",
         .member = &P::max_bandwidth_bytes_per_s,
         .while_running = true,
         .maximum = std::numeric_limits<std::int64_t>::max(),
         .saturates = true},
        {.name = "return-path",
         .help = "ask the destination to answer, where the transport allows it",
         .member = &P::return_path,
         .capability = true},
        {.name = "switchover-timeout",
         .unit = "ms",
         .help = "longest time for the switchover before the guest goes on at the source",
         .member = &P::switchover_timeout_ms,
         .while_running = true,
         .minimum = 1,
         .maximum = ten_minutes_ms},
        {.name = "xbzrle",
         .help = "after the first pass, send pages as differences to what was sent before",
         .member = &P::xbzrle,
         .capability = true},
        {.name = "xbzrle-cache-size",
         .unit = "bytes",
         .help = "memory that keeps what was sent, for xbzrle; a power of two",
         .member = &P::xbzrle_cache_size_bytes,
         .while_running = true,
         .minimum = page_bytes,
         .maximum = std::uint64_t{1} << 62,
         .power_of_two = true},
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
    return std::visit([&](auto member) { return set_member(parameters, info, member, value); }, info.member);
}

Status set_parameters(MigrationParameters& parameters, std::span<const ParameterChange> changes) {
    MigrationParameters changed = parameters;
    for (const ParameterChange& change : changes) {
        if (Status set = set_parameter(changed, *change.info, change.value); !set) {
            return set;
        }
    }
    parameters = changed;
    return {};
}

}  // namespace godwit
