#include "cli/relay_arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>
#include <string_view>

#include "base/printable.h"
#include "io/address.h"
#include "monitor/hmp_parser.h"

namespace godwit {

namespace {

constexpr double longest_stall_s = 86'400;

/// NUMBER or NUMBER:REST.
struct Split {
    std::uint64_t position = 0;
    std::optional<std::string_view> rest;
};

tl::unexpected<Error> fail_value(std::string_view text, const char* expected) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("'{}' is not of the form {}; suffixes K, M, G count in powers of 1024", printable(text), expected));
}

Result<Split> split(std::string_view text, const char* expected) {
    const std::size_t colon = text.find(':');
    const auto position = parse_size(text.substr(0, colon), 1);
    if (!position) {
        return fail_value(text, expected);
    }
    return Split{*position, colon == std::string_view::npos ? std::nullopt : std::optional(text.substr(colon + 1))};
}

Result<RelayMischief::Stall> parse_stall(std::string_view text) {
    constexpr const char* expected = "BYTES[:SECONDS]";
    const auto parts = split(text, expected);
    if (!parts || !parts->rest) {
        return parts ? Result<RelayMischief::Stall>({parts->position, std::nullopt}) : fail(parts.error());
    }
    double seconds = 0;
    const char* const end = parts->rest->data() + parts->rest->size();
    const auto [stop, error] = std::from_chars(parts->rest->data(), end, seconds);
    if (error != std::errc() || stop != end || !(seconds >= 0) || seconds > longest_stall_s) {
        return fail_value(text, expected);
    }
    return RelayMischief::Stall{parts->position,
                                std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds))};
}

Result<RelayMischief::Corruption> parse_corruption(std::string_view text) {
    constexpr const char* expected = "OFFSET[:BYTES]";
    const auto parts = split(text, expected);
    if (!parts) {
        return fail(parts.error());
    }
    const auto bytes = parts->rest ? parse_size(*parts->rest, 1) : Result<std::uint64_t>(1);
    return bytes ? Result<RelayMischief::Corruption>({parts->position, *bytes}) : fail_value(text, expected);
}

Status set(const RelayArguments::Mischief& arguments, RelayMischief& mischief) {
    if (!arguments.cut_after.empty()) {
        const auto position = split(arguments.cut_after, "BYTES");
        if (!position || position->rest) {
            return fail_value(arguments.cut_after, "BYTES");
        }
        mischief.cut_after = position->position;
    }
    if (!arguments.stall_after.empty()) {
        const auto stall = parse_stall(arguments.stall_after);
        if (!stall) {
            return fail(stall.error());
        }
        mischief.stall = *stall;
    }
    if (!arguments.corrupt.empty()) {
        const auto corruption = parse_corruption(arguments.corrupt);
        if (!corruption) {
            return fail(corruption.error());
        }
        mischief.corruption = *corruption;
    }
    return {};
}

/// Whether migrations can come there one after the other: not through a descriptor, from a program or out of a file.
Status check_keeping(const std::string& listen) {
    const auto address = parse_address(listen);
    if (!address) {
        return fail(address.error());
    }
    // That rdma: cannot be relayed at all is said elsewhere.
    const bool again = std::holds_alternative<TcpAddress>(*address) || std::holds_alternative<UnixAddress>(*address) ||
                       std::holds_alternative<RdmaAddress>(*address);
    return again ? Status()
                 : fail(ErrorCode::invalid_argument,
                        fmt::format("with --keep, --listen has to be tcp: or unix:, and not '{}', from which one "
                                    "migration comes",
                                    printable(listen)));
}

void add_mischief(CLI::App& command, const char* group, const std::string& suffix, const std::string& direction,
                  RelayArguments::Mischief& mischief) {
    command
        .add_option("--cut" + suffix + "-after", mischief.cut_after,
                    "reset both connections once so many bytes have passed " + direction)
        ->type_name("BYTES")
        ->group(group);
    command
        .add_option("--stall" + suffix + "-after", mischief.stall_after,
                    "pass on nothing more " + direction +
                        " after so many bytes: for so long, or until one side gives up, which resets both connections")
        ->type_name("BYTES[:SECONDS]")
        ->group(group);
    command
        .add_option("--corrupt" + suffix, mischief.corrupt,
                    "flip all bits of these bytes " + direction + "; 1 byte unless told")
        ->type_name("OFFSET[:BYTES]")
        ->group(group);
}

}  // namespace

void add_relay_options(CLI::App& command, RelayArguments& arguments) {
    command
        .add_option(
            "--listen", arguments.listen,
            "where the source comes to: tcp:HOST:PORT (port 0: any), unix:PATH, fd:N, exec:COMMAND or file:PATH")
        ->type_name("URI")
        ->required();
    command.add_option("--to", arguments.to, "where the destination waits: as above")->type_name("URI")->required();
    CLI::Option* keep = command.add_flag("--keep", arguments.keep,
                                         "relay one migration after the other, until Ctrl-C; listens on tcp: or unix:");
    command
        .add_option("--record", arguments.record,
                    "keep the stream in a file that `godwit inspect` and `--incoming file:` understand; without the "
                    "commands that only make sense on a connection")
        ->type_name("FILE")
        ->excludes(keep);
    command.add_option("--record-return", arguments.record_return, "keep what the destination says in a file")
        ->type_name("FILE")
        ->excludes(keep);
    command
        .add_option("--bandwidth", arguments.bytes_per_s,
                    "limit in bytes per second, towards the destination; suffixes K, M, G count in powers of 1024; 0 "
                    "is no limit")
        ->transform(CLI::AsSizeValue(false));
    command
        .add_option("--interval", arguments.interval_ms,
                    "tell how far it is so often, in ms, on the standard error output; each second on a terminal, "
                    "otherwise never unless this is given")
        ->check(CLI::Range(20, 60'000));
    command.add_flag("--json", arguments.json, "sum up in a line of JSON");
    add_mischief(command, "For tests, from the source to the destination", "", "to the destination", arguments.forward);
    add_mischief(command, "For tests, from the destination to the source", "-return", "back to the source",
                 arguments.backward);
    add_log_options(command, arguments.log);
}

Result<RelayOptions> relay_options(const RelayArguments& arguments) {
    if (arguments.keep) {
        if (const Status checked = check_keeping(arguments.listen); !checked) {
            return fail(checked.error());
        }
    }
    RelayOptions options;
    options.bytes_per_s = arguments.bytes_per_s.value_or(0);
    if (const Status set_forward = set(arguments.forward, options.forward); !set_forward) {
        return fail(set_forward.error());
    }
    if (const Status set_backward = set(arguments.backward, options.backward); !set_backward) {
        return fail(set_backward.error());
    }
    return options;
}

}  // namespace godwit
