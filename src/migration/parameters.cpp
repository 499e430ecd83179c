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
/// More than any name has.
constexpr std::size_t max_text_bytes = 1024;

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

Status out_of_range(const ParameterInfo& info) {
    const std::string minimum =
        info.minimum_name.empty() ? fmt::format("{}", info.minimum) : std::string(info.minimum_name);
    return fail(ErrorCode::invalid_argument, fmt::format("Parameter '{}' expects an integer in the range of {} to {}",
                                                         underscored(info.name), minimum, info.maximum));
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
        return fail(ErrorCode::invalid_argument,
                    fmt::format("Parameter '{}' expects a power of two no less than the target page size",
                                underscored(info.name)));
    }
    if (number < info.minimum || number > info.maximum) {
        return out_of_range(info);
    }
    parameters.*member = number;
    return {};
}

Status set_member(P& parameters, const ParameterInfo& info, SwitchoverPolicy P::*member, const ParameterValue& value) {
    const std::string_view* given = std::get_if<std::string_view>(&value);
    if (given == nullptr) {
        return wrong_type(info, "string");
    }
    const auto found = std::find(info.words.begin(), info.words.end(), *given);
    if (found == info.words.end()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("Parameter '{}' does not accept value '{}'", info.name, *given));
    }
    parameters.*member = static_cast<SwitchoverPolicy>(found - info.words.begin());
    return {};
}

Status set_member(P& parameters, const ParameterInfo& info, std::string P::*member, const ParameterValue& value) {
    const std::string_view* given = std::get_if<std::string_view>(&value);
    if (given == nullptr) {
        return wrong_type(info, "string");
    }
    if (given->size() > max_text_bytes) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("Parameter '{}' is longer than {} bytes", info.name, max_text_bytes));
    }
    // Libraries of C would take it for the end.
    if (given->find('\0') != std::string_view::npos) {
        return fail(ErrorCode::invalid_argument, fmt::format("Parameter '{}' has a NUL in it", info.name));
    }
    parameters.*member = *given;
    return {};
}

/// What no definition can say alone.
Status check_together(const P& parameters) {
    if (parameters.max_cpu_throttle_percent < parameters.cpu_throttle_initial_percent) {
        return out_of_range(*find_parameter("max-cpu-throttle"));
    }
    return {};
}

}  // namespace

const std::vector<ParameterInfo>& parameter_table() {
    static const std::vector<ParameterInfo> table{
        {.name = "auto-converge",
         .help = "slow the virtual CPUs down when the guest writes faster than memory can be sent",
         .member = &P::auto_converge,
         .capability = true},
        {.name = "avail-switchover-bandwidth",
         .unit = "bytes per second",
         .help = "rate that the switchover may count on; 0 is the measured one",
         .member = &P::avail_switchover_bandwidth_bytes_per_s,
         .while_running = true,
         .maximum = std::numeric_limits<std::int64_t>::max(),
         .saturates = true},
        {.name = "block",
         .help = "move the disks with the machine, while it runs",
         .member = &P::block,
         .capability = true},
        {.name = "block-incremental",
         .help = "of the disks, move only what their topmost layer holds; the destination has the rest",
         .member = &P::block_incremental},
        {.name = "connect-timeout",
         .unit = "ms",
         .help = "longest time to reach the destination",
         .member = &P::connect_timeout_ms,
         .minimum = 1,
         .maximum = ten_minutes_ms},
        {.name = "cpu-throttle-increment",
         .unit = "percent",
         .help = "what each step of auto-converge takes more",
         .member = &P::cpu_throttle_increment_percent,
         .while_running = true,
         .minimum = 1,
         .maximum = 99},
        {.name = "cpu-throttle-initial",
         .unit = "percent",
         .help = "what the first step of auto-converge takes from the virtual CPUs",
         .member = &P::cpu_throttle_initial_percent,
         .while_running = true,
         .minimum = 1,
         .maximum = 99},
        {.name = "cpu-throttle-tailslow",
         .help = "take smaller steps when little is missing",
         .member = &P::cpu_throttle_tailslow,
         .while_running = true},
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
        {.name = "max-cpu-throttle",
         .unit = "percent",
         .help = "what auto-converge takes from the virtual CPUs at most; not below cpu-throttle-initial",
         .member = &P::max_cpu_throttle_percent,
         .while_running = true,
         .minimum = 1,
         .maximum = 99,
         .minimum_name = "cpu_throttle_initial"},
        {.name = "pause-before-switchover",
         .help = "wait for migrate-continue once the guest is stopped",
         .member = &P::pause_before_switchover,
         .capability = true},
        {.name = "rdma-pin-all",
         .former_name = "x-rdma-pin-all",
         .help = "over RDMA, register and pin all memory at the beginning",
         .member = &P::rdma_pin_all,
         .capability = true},
        {.name = "return-path",
         .help = "ask the destination to answer, where the transport allows it",
         .member = &P::return_path,
         .capability = true},
        {.name = "switchover-policy",
         .help = "when the guest is stopped: minimum (another pass would save little) or first-fit (as soon as the "
                 "limit allows)",
         .member = &P::switchover_policy,
         .while_running = true,
         .words = {"minimum", "first-fit"}},
        {.name = "switchover-timeout",
         .unit = "ms",
         .help = "longest time for the switchover before the guest goes on at the source",
         .member = &P::switchover_timeout_ms,
         .while_running = true,
         .minimum = 1,
         .maximum = ten_minutes_ms},
        {.name = "throttle-trigger-threshold",
         .unit = "percent",
         .help = "auto-converge acts when more than this part of what was transferred has been written again",
         .member = &P::throttle_trigger_threshold_percent,
         .while_running = true,
         .minimum = 1,
         .maximum = 100},
        {.name = "tls-authz",
         .help = "id of the object that says which sources may come, by their certificates; empty is no such question",
         .member = &P::tls_authz},
        {.name = "tls-creds",
         .help = "id of the TLS credentials that protect the connection; empty is no TLS",
         .member = &P::tls_creds},
        {.name = "tls-hostname",
         .help = "name that the destination's certificate must have; empty is the host of its address",
         .member = &P::tls_hostname},
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
        {.name = "zero-blocks",
         .help = "send chunks of zeros on disks without their data, so that a thin image stays thin",
         .member = &P::zero_blocks,
         .capability = true},
    };
    return table;
}

const ParameterInfo* find_parameter(std::string_view name) {
    for (const ParameterInfo& info : parameter_table()) {
        if (info.name == name || (!name.empty() && info.former_name == name)) {
            return &info;
        }
    }
    return nullptr;
}

ParameterValue get_parameter(const MigrationParameters& parameters, const ParameterInfo& info) {
    if (const auto* choice = std::get_if<SwitchoverPolicy P::*>(&info.member)) {
        return info.words[static_cast<std::size_t>(parameters.**choice)];
    }
    if (const auto* text = std::get_if<std::string P::*>(&info.member)) {
        return std::string_view(parameters.**text);
    }
    if (const auto* number = std::get_if<std::uint64_t P::*>(&info.member)) {
        return parameters.**number;
    }
    return parameters.*std::get<bool P::*>(info.member);
}

Status set_parameter(MigrationParameters& parameters, const ParameterInfo& info, const ParameterValue& value) {
    const ParameterChange change{&info, value};
    return set_parameters(parameters, {&change, 1});
}

Status set_parameters(MigrationParameters& parameters, std::span<const ParameterChange> changes) {
    MigrationParameters changed = parameters;
    for (const ParameterChange& change : changes) {
        const ParameterInfo& info = *change.info;
        if (Status set =
                std::visit([&](auto member) { return set_member(changed, info, member, change.value); }, info.member);
            !set) {
            return set;
        }
    }
    if (Status fits = check_together(changed); !fits) {
        return fits;
    }
    parameters = changed;
    return {};
}

}  // namespace godwit
