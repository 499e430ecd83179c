#include "monitor/dirty_rate_commands.h"

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <string_view>

namespace godwit {

namespace {

/// Ranges and default are QEMU's.
constexpr std::int64_t shortest_s = 1;
constexpr std::int64_t longest_s = 60;
constexpr std::int64_t fewest_pages = 128;
constexpr std::int64_t most_pages = 16384;
constexpr std::int64_t default_pages = 512;

constexpr const char* page_sampling = "page-sampling";

std::string_view state_name(DirtyRateMeter::State state) {
    switch (state) {
        case DirtyRateMeter::State::unstarted:
            return "unstarted";
        case DirtyRateMeter::State::measuring:
            return "measuring";
        case DirtyRateMeter::State::measured:
            return "measured";
    }
    return "";
}

Status check_range(const char* name, std::int64_t value, std::int64_t lowest, std::int64_t highest) {
    if (value >= lowest && value <= highest) {
        return {};
    }
    return fail(ErrorCode::invalid_argument, fmt::format("{} is out of range[{}, {}].", name, lowest, highest));
}

Status check(const Json& arguments) {
    if (auto status = check_range("calc-time", arguments["calc-time"].get<std::int64_t>(), shortest_s, longest_s);
        !status) {
        return status;
    }
    const std::string mode = arguments.value("mode", page_sampling);
    if (arguments.contains("sample-pages")) {
        if (mode == "dirty-ring") {
            return fail(ErrorCode::invalid_argument, "either sample-pages or dirty-ring can be specified.");
        }
        if (auto status =
                check_range("sample-pages", arguments["sample-pages"].get<std::int64_t>(), fewest_pages, most_pages);
            !status) {
            return status;
        }
    }
    if (mode != page_sampling) {
        return fail(ErrorCode::unsupported, fmt::format("mode {} is not enabled, use other method instead.", mode),
                    "use mode page-sampling");
    }
    return {};
}

Result<Json> calc(DirtyRateMeter& meter, const Json& arguments) {
    if (meter.is_measuring()) {
        return fail(ErrorCode::busy, "the dirty rate is already being measured.");
    }
    if (auto status = check(arguments); !status) {
        return fail(status.error());
    }
    const auto calc_time = static_cast<std::uint64_t>(arguments["calc-time"].get<std::int64_t>());
    const auto pages = static_cast<std::uint64_t>(arguments.value("sample-pages", default_pages));
    if (auto status = meter.start(calc_time, pages); !status) {
        return fail(status.error());
    }
    return Json::object();
}

Json report(const DirtyRateMeter::Figures& figures) {
    Json result = {
        {"status", state_name(figures.state)},
        {"start-time", std::chrono::floor<std::chrono::seconds>(figures.started_at.time_since_epoch()).count()},
        {"calc-time", figures.calc_time_s},
        {"sample-pages", figures.sample_pages_per_gib},
        {"mode", page_sampling},
    };
    if (figures.dirty_megabytes_per_s) {
        result["dirty-rate"] = *figures.dirty_megabytes_per_s;
    }
    return result;
}

}  // namespace

void add_dirty_rate_commands(CommandTable& commands, DirtyRateMeter& meter) {
    commands.add({"calc-dirty-rate",
                  "Begins to measure how fast the guest writes memory; query-dirty-rate tells the result.",
                  {{"calc-time", ArgumentType::integer, false, "seconds, 1 to 60"},
                   {"sample-pages", ArgumentType::integer, true, "pages of each GiB that are looked at, 128 to 16384"},
                   {"mode",
                    ArgumentType::string,
                    true,
                    "page-sampling; the others are not supported",
                    {},
                    {page_sampling, "dirty-ring", "dirty-bitmap"}}},
                  [&meter](const Json& arguments, CommandClient&) { return calc(meter, arguments); }});
    commands.add({"query-dirty-rate",
                  "The state and the result of the measurement that began last.",
                  {},
                  [&meter](const Json&, CommandClient&) -> Result<Json> { return report(meter.figures()); }});
}

}  // namespace godwit
