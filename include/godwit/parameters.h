#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "godwit/error.h"

namespace godwit {

/// When the guest is stopped.
enum class SwitchoverPolicy {
    minimum,    ///< when another pass would save little of the downtime
    first_fit,  ///< as soon as the predicted downtime is within the limit, as QEMU does
};

/// The settings of migrations. Names in QMP are the members' names without the unit and with dashes.
struct MigrationParameters {
    /// Bytes per second of a whole migration; 0 is no limit.
    std::uint64_t max_bandwidth_bytes_per_s = 0;
    /// Longest time in ms that the guest may be stopped for the switchover, as predicted.
    std::uint64_t downtime_limit_ms = 300;
    /// Wait, with the guest stopped, for `Migration::continue_switchover` (capability `pause-before-switchover`).
    bool pause_before_switchover = false;
    SwitchoverPolicy switchover_policy = SwitchoverPolicy::minimum;
    /// Bytes per second that the switchover may count on, where the measured rate is not to be trusted; 0 is the
    /// measured one.
    std::uint64_t avail_switchover_bandwidth_bytes_per_s = 0;
    /// Slow the virtual CPUs down when the guest writes faster than memory can be sent (capability `auto-converge`).
    bool auto_converge = false;
    /// What was dirtied in a period is too much above this percentage of what was transferred.
    std::uint64_t throttle_trigger_threshold_percent = 50;
    /// Part of the time that is taken from the virtual CPUs: at first, more in each step, at most.
    std::uint64_t cpu_throttle_initial_percent = 20;
    std::uint64_t cpu_throttle_increment_percent = 10;
    std::uint64_t max_cpu_throttle_percent = 99;
    /// Take smaller steps when little is missing.
    bool cpu_throttle_tailslow = false;
    /// Ask a peer that can answer for a return path (capability `return-path`).
    bool return_path = true;
    /// Emit MIGRATION events (capability `events`).
    bool events = false;
    /// After the first pass, send pages as differences to what was sent before (capability `xbzrle`).
    bool xbzrle = false;
    /// Memory that keeps what was sent, a power of two; more than the guest has is not used.
    std::uint64_t xbzrle_cache_size_bytes = 64 << 20;
    /// Move the disks with the machine (capability `block`).
    bool block = false;
    /// Of the disks, move only what their topmost layer holds; the destination has the rest.
    bool block_incremental = false;
    /// Send chunks of zeros without their data (capability `zero-blocks`); QEMU takes that since 1.6.
    bool zero_blocks = false;
    /// Over RDMA, register all memory at the beginning, which also keeps it in RAM (capability `rdma-pin-all`).
    bool rdma_pin_all = false;
    /// Which of the program's TLS credentials protect the connection; empty: none does. The engine refuses a channel
    /// that is not encrypted then.
    std::string tls_creds;
    /// The name that the destination's certificate has to have; empty: the host of the destination's address.
    std::string tls_hostname;
    /// Who decides whether the source's certificate is welcome; empty: each that the authority has signed is.
    std::string tls_authz;
    /// Send the stream as QEMU 1.5/1.6 did: no configuration, footers, commands or description.
    bool legacy_stream = false;
    /// Deadlines; see `docs/handover.md`.
    std::uint64_t connect_timeout_ms = 10'000;
    std::uint64_t handshake_timeout_ms = 5'000;
    std::uint64_t idle_timeout_ms = 30'000;
    std::uint64_t switchover_timeout_ms = 5'000;
};

/// The text is not owned: of a choice it is one of the words of its definition, else it belongs to the parameters or to
/// whoever gave it.
using ParameterValue = std::variant<bool, std::uint64_t, std::string_view>;

/// The definition of one setting; the only place that knows its name, range and unit. A capability is a parameter that
/// is switched by `migrate-set-capabilities`.
struct ParameterInfo {
    std::string_view name;
    /// A name from former times, which is understood too.
    std::string_view former_name = {};
    std::string_view unit = {};
    std::string_view help;
    std::variant<bool MigrationParameters::*, std::uint64_t MigrationParameters::*, std::string MigrationParameters::*,
                 SwitchoverPolicy MigrationParameters::*>
        member;
    bool capability = false;
    /// May be changed while a migration runs.
    bool while_running = false;
    /// Of numbers.
    std::uint64_t minimum = 0;
    std::uint64_t maximum = 0;
    /// For messages, where another parameter is the minimum.
    std::string_view minimum_name = {};
    /// What is larger than `maximum` counts as that instead of being refused.
    bool saturates = false;
    /// No other numbers are allowed.
    bool power_of_two = false;
    /// Of a choice: the names of its values, in their order.
    std::vector<std::string_view> words = {};
};

struct ParameterChange {
    const ParameterInfo* info;
    ParameterValue value;
};

/// All definitions, in alphabetical order.
const std::vector<ParameterInfo>& parameter_table();
const ParameterInfo* find_parameter(std::string_view name);

/// A text in the result lives as long as `parameters`.
ParameterValue get_parameter(const MigrationParameters& parameters, const ParameterInfo& info);
/// Checks types and ranges and makes all changes, or none. Errors: `invalid_argument`, worded as QEMU words them.
Status set_parameters(MigrationParameters& parameters, std::span<const ParameterChange> changes);
Status set_parameter(MigrationParameters& parameters, const ParameterInfo& info, const ParameterValue& value);

}  // namespace godwit
