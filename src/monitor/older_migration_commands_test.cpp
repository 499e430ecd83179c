#include "monitor/older_migration_commands.h"

#include <gtest/gtest.h>

#include <limits>

#include "monitor/command_testing.h"
#include "monitor/hmp_testing.h"

namespace godwit {
namespace {

class OlderMigrationCommands : public ::testing::Test {
protected:
    OlderMigrationCommands() { add_older_migration_commands(commands_, service_); }

    /// The error's text, or nothing after a success. `value` is JSON, as a client sends it.
    std::string set(const std::string& name, const std::string& value) {
        const Json arguments = {{"value", Json::parse(value)}};
        const Command* command = commands_.find(name);
        if (auto status = check_arguments(command->arguments, arguments); !status) {
            return status.error().message;
        }
        const auto result = command->handler(arguments, client_);
        return result ? "" : result.error().message;
    }

    testing::NotingService service_;
    CommandTable commands_;
    testing::NoClient client_;
};

TEST_F(OlderMigrationCommands, SpeedIsExactAndSaturates) {
    constexpr std::uint64_t largest = std::numeric_limits<std::int64_t>::max();
    const std::pair<const char*, std::uint64_t> cases[] = {
        {"0", 0},
        {"1", 1},
        {"2147483648", 1UL << 31},
        {"9223372036854775807", largest},
        {"9223372036854775808", largest},
        {"18446744073709551615", largest},
        {"18446744073709551616", largest},
        {"99999999999999999999999999", largest},
    };
    for (const auto& [value, expected] : cases) {
        EXPECT_EQ(set("migrate_set_speed", value), "") << value;
        EXPECT_EQ(service_.values.max_bandwidth_bytes_per_s, expected) << value;
    }
}

TEST_F(OlderMigrationCommands, SpeedRefusesWhatIsNoSize) {
    service_.values.max_bandwidth_bytes_per_s = 77;
    for (const char* value : {"-1", "1.5", "\"1\"", "null", "true", "-1e30"}) {
        EXPECT_EQ(set("migrate_set_speed", value), "Parameter 'value' expects uint64") << value;
    }
    EXPECT_EQ(service_.values.max_bandwidth_bytes_per_s, 77U);
}

TEST_F(OlderMigrationCommands, DowntimeIsInSeconds) {
    const std::pair<const char*, std::uint64_t> cases[] = {
        {"0", 0}, {"1", 1000}, {"0.03", 30}, {"0.0001", 1}, {"2000", 2'000'000}};
    for (const auto& [value, expected] : cases) {
        EXPECT_EQ(set("migrate_set_downtime", value), "") << value;
        EXPECT_EQ(service_.values.downtime_limit_ms, expected) << value;
    }
    EXPECT_EQ(set("migrate_set_downtime", "-0.1"), "Parameter 'value' expects a number of seconds from 0 to 1000000");
    EXPECT_EQ(set("migrate_set_downtime", "1e300"), "Parameter 'value' expects a number of seconds from 0 to 1000000");
    EXPECT_NE(set("migrate_set_downtime", "2001").find("in the range of 0 to 2000000"), std::string::npos);
    EXPECT_EQ(set("migrate_set_downtime", "\"1\""), "Invalid parameter type for 'value', expected: number");
    EXPECT_EQ(service_.values.downtime_limit_ms, 2'000'000U);
}

TEST_F(OlderMigrationCommands, PauseSaysWhatItIsFor) {
    const auto result = commands_.find("migrate-pause")->handler(Json::object(), client_);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "migrate-pause is currently only supported during postcopy-active state");
}

TEST_F(OlderMigrationCommands, TheCacheSizeIsRoundedDownToAPowerOfTwo) {
    EXPECT_EQ(set("migrate-set-cache-size", "8192"), "");
    EXPECT_EQ(service_.values.xbzrle_cache_size_bytes, 8192U);
    EXPECT_EQ(set("migrate-set-cache-size", "100000000"), "");
    EXPECT_EQ(service_.values.xbzrle_cache_size_bytes, 1U << 26);
    EXPECT_EQ(*commands_.find("query-migrate-cache-size")->handler(Json::object(), client_), 1U << 26);
    for (const char* wrong : {"0", "4095", "9223372036854775808"}) {
        EXPECT_EQ(set("migrate-set-cache-size", wrong),
                  "Parameter 'xbzrle_cache_size' expects a power of two no less than the target page size")
            << wrong;
    }
    EXPECT_EQ(set("migrate-set-cache-size", "-1"), "Parameter 'value' expects uint64");
    EXPECT_EQ(service_.values.xbzrle_cache_size_bytes, 1U << 26);
}

}  // namespace
}  // namespace godwit
