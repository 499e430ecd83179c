#pragma once

#include <cstdint>
#include <span>
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
    /// After the first pass, send pages as differences to what was sent before (capability `xbzrle`).
    bool xbzrle = false;
    /// Memory that keeps what was sent, a power of two; more than the guest has is not used.
    std::uint64_t xbzrle_cache_size_bytes = 64 << 20;
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
    std::string_view unit = {};
    std::string_view help;
    std::variant<bool MigrationParameters::*, std::uint64_t MigrationParameters::*> member;
    bool capability = false;
    /// May be changed while a migration runs.
    bool while_running = false;
    /// Of numbers.
    std::uint64_t minimum = 0;
    std::uint64_t maximum = 0;
    /// What is larger than `maximum` counts as that instead of being refused.
    bool saturates = false;
    /// No other numbers are allowed.
    bool power_of_two = false;
};

struct ParameterChange {
    const ParameterInfo* info;
    ParameterValue value;
};

/// All definitions, in alphabetical order.
const std::vector<ParameterInfo>& parameter_table();
const ParameterInfo* find_parameter(std::string_view name);

ParameterValue get_parameter(const MigrationParameters& parameters, const ParameterInfo& info);
/// Checks types and ranges and makes all changes, or none. Errors: `invalid_argument`, worded as QEMU words them.
Status set_parameters(MigrationParameters& parameters, std::span<const ParameterChange> changes);
Status set_parameter(MigrationParameters& parameters, const ParameterInfo& info, const ParameterValue& value);

}  // namespace godwit
