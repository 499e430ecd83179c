#include "monitor/older_migration_commands.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "base/assert.h"

namespace godwit {

namespace {

Result<Json> set(MigrationService& service, std::string_view name, std::uint64_t value) {
    const ParameterInfo* info = find_parameter(name);
    GODWIT_ASSERT(info != nullptr, "'{}' is not in the table of parameters", name);
    const ParameterChange change{info, value};
    if (auto status = service.set({&change, 1}); !status) {
        return fail(status.error());
    }
    return Json::object();
}

/// Rounded up, so that a limit above zero stays one.
Result<Json> set_downtime(MigrationService& service, double limit_s) {
    constexpr double longest_s = 1e6;  // far more than is allowed, and safe to convert
    if (!(limit_s >= 0 && limit_s <= longest_s)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("Parameter 'value' expects a number of seconds from 0 to {:.0f}", longest_s));
    }
    return set(service, "downtime-limit", static_cast<std::uint64_t>(std::ceil(limit_s * 1000)));
}

}  // namespace

void add_older_migration_commands(CommandTable& commands, MigrationService& service) {
    commands.add({"migrate_set_speed",
                  "Sets max-bandwidth; migrate-set-parameters does the same.",
                  {{"value", ArgumentType::size, false, "bytes per second; 0 is no limit"}},
                  [&service](const Json& arguments, CommandClient&) {
                      return set(service, "max-bandwidth", *to_size(arguments["value"]));
                  }});
    commands.add({"migrate_set_downtime",
                  "Sets downtime-limit; migrate-set-parameters does the same, in milliseconds.",
                  {{"value", ArgumentType::number, false, "seconds"}},
                  [&service](const Json& arguments, CommandClient&) {
                      return set_downtime(service, arguments["value"].get<double>());
                  }});
    commands.add({"migrate-set-cache-size",
                  "Sets xbzrle-cache-size; migrate-set-parameters does the same, but does not round.",
                  {{"value", ArgumentType::size, false, "bytes; rounded down to a power of two"}},
                  [&service](const Json& arguments, CommandClient&) {
                      return set(service, "xbzrle-cache-size", std::bit_floor(*to_size(arguments["value"])));
                  }});
    commands.add({"query-migrate-cache-size",
                  "The value of xbzrle-cache-size; query-migrate-parameters has it, too.",
                  {},
                  [&service](const Json&, CommandClient&) -> Result<Json> {
                      return Json(service.parameters().xbzrle_cache_size_bytes);
                  }});
    commands.add({"migrate-pause",
                  "Refused: it is for a postcopy migration, which does not exist here.",
                  {},
                  [](const Json&, CommandClient&) -> Result<Json> {
                      return fail(ErrorCode::unsupported,
                                  "migrate-pause is currently only supported during postcopy-active state");
                  },
                  true});
}

}  // namespace godwit
