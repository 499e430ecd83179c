#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "godwit/error.h"

namespace godwit {

/// The settings of migrations. Names in QMP are the members' names without the unit and with dashes.
struct MigrationParameters {
    /// Bytes per second of a whole migration; 0 is no limit.
    std::uint64_t max_bandwidth_bytes_per_s = 0;
    /// Longest time in ms that the guest may be stopped for the switchover, as predicted.
    std::uint64_t downtime_limit_ms = 300;
    /// Ask a peer that can answer for a return path (capability `return-path`).
    bool return_path = true;
    /// Emit MIGRATION events (capability `events`).
    bool events = false;
    /// Send the stream as QEMU 1.5/1.6 did: no configuration, footers, commands or description.
    bool legacy_stream = false;
    /// Deadlines; see `docs/handover.md`.
    std::uint64_t connect_timeout_ms = 10'000;
    std::uint64_t handshake_timeout_ms = 5'000;
    std::uint64_t idle_timeout_ms = 30'000;
    std::uint64_t switchover_timeout_ms = 5'000;
};

using ParameterValue = std::variant<bool, std::uint64_t>;

/// The definition of one setting; the only place that knows its name, range and unit. A capability is a parameter that
/// is switched by `migrate-set-capabilities`.
struct ParameterInfo {
    std::string_view name;
    std::string_view unit;
    std::string_view help;
    bool capability = false;
    /// May be changed while a migration runs.
    bool while_running = false;
    std::uint64_t minimum = 0;
    std::uint64_t maximum = 0;
    std::variant<bool MigrationParameters::*, std::uint64_t MigrationParameters::*> member;
    /// What is larger than `maximum` counts as that instead of being refused.
    bool saturates = false;
};

/// All definitions, in alphabetical order.
const std::vector<ParameterInfo>& parameter_table();
const ParameterInfo* find_parameter(std::string_view name);

ParameterValue get_parameter(const MigrationParameters& parameters, const ParameterInfo& info);
/// Checks type and range and sets the value. Errors: `invalid_argument`, worded as QEMU words them.
Status set_parameter(MigrationParameters& parameters, const ParameterInfo& info, const ParameterValue& value);

}  // namespace godwit
