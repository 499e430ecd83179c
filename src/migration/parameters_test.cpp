#include "godwit/parameters.h"

#include <gtest/gtest.h>

#include "migration/protection.h"

namespace godwit {
namespace {

/// The largest value that is allowed while all others have their defaults.
std::uint64_t most(const ParameterInfo& info) {
    return info.name == "cpu-throttle-initial" ? MigrationParameters().max_cpu_throttle_percent : info.maximum;
}

TEST(Parameters, EachHasADefaultWithinItsRangeAndRefusesOthers) {
    for (const ParameterInfo& info : parameter_table()) {
        MigrationParameters parameters;
        const ParameterValue initial = get_parameter(parameters, info);
        EXPECT_TRUE(set_parameter(parameters, info, initial)) << info.name;
        EXPECT_EQ(find_parameter(info.name), &info);
        if (const std::uint64_t* number = std::get_if<std::uint64_t>(&initial)) {
            EXPECT_GE(*number, info.minimum);
            EXPECT_LE(*number, info.maximum);
            EXPECT_FALSE(set_parameter(parameters, info, true)) << info.name;
            if (info.minimum > 0) {
                EXPECT_FALSE(set_parameter(parameters, info, info.minimum - 1)) << info.name;
            }
            ASSERT_TRUE(set_parameter(parameters, info, most(info)));
            EXPECT_EQ(std::get<std::uint64_t>(get_parameter(parameters, info)), most(info));
        } else if (std::holds_alternative<std::string MigrationParameters::*>(info.member)) {
            EXPECT_EQ(initial, ParameterValue("")) << info.name;
            EXPECT_FALSE(set_parameter(parameters, info, true)) << info.name;
            EXPECT_FALSE(set_parameter(parameters, info, std::string(5000, 'x'))) << info.name;
            ASSERT_TRUE(set_parameter(parameters, info, "anything")) << info.name;
            EXPECT_EQ(get_parameter(parameters, info), ParameterValue("anything"));
        } else {
            EXPECT_FALSE(set_parameter(parameters, info, std::uint64_t{1})) << info.name;
            EXPECT_FALSE(set_parameter(parameters, info, "nonsense")) << info.name;
        }
    }
    MigrationParameters parameters;
    const Status status = set_parameter(parameters, *find_parameter("downtime-limit"), std::uint64_t{2'000'001});
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().message, "Parameter 'downtime_limit' expects an integer in the range of 0 to 2000000");
    EXPECT_EQ(find_parameter("nonsense"), nullptr);
}

TEST(Parameters, TlsNeedsAnEncryptedChannel) {
    MigrationParameters parameters;
    EXPECT_TRUE(check_protection(parameters, {.description = "plain"}));
    parameters.tls_creds = "tls0";
    const Status refused = check_protection(parameters, {.description = "plain"});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::unsupported);
    EXPECT_TRUE(check_protection(parameters, {.description = "protected", .encrypted = true}));
}

TEST(Parameters, TextsDoNotEndInTheMiddle) {
    MigrationParameters parameters;
    for (const char* name : {"tls-creds", "tls-authz", "tls-hostname"}) {
        EXPECT_EQ(set_parameter(parameters, *find_parameter(name), std::string_view("good\0.example", 13)).error().code,
                  ErrorCode::invalid_argument);
    }
    EXPECT_EQ(parameters.tls_hostname, "");
}

TEST(Parameters, ChoicesHaveNames) {
    MigrationParameters parameters;
    const ParameterInfo& policy = *find_parameter("switchover-policy");
    EXPECT_EQ(get_parameter(parameters, policy), ParameterValue("minimum"));
    ASSERT_TRUE(set_parameter(parameters, policy, "first-fit"));
    EXPECT_EQ(parameters.switchover_policy, SwitchoverPolicy::first_fit);
    EXPECT_EQ(get_parameter(parameters, policy), ParameterValue("first-fit"));
    const Status refused = set_parameter(parameters, policy, "soon");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "Parameter 'switchover-policy' does not accept value 'soon'");
}

TEST(Parameters, WhatBelongsTogetherIsCheckedTogether) {
    MigrationParameters parameters;
    const ParameterInfo* initial = find_parameter("cpu-throttle-initial");
    const ParameterInfo* most_info = find_parameter("max-cpu-throttle");
    const Status refused = set_parameter(parameters, *most_info, std::uint64_t{19});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message,
              "Parameter 'max_cpu_throttle' expects an integer in the range of cpu_throttle_initial to 99");
    const ParameterChange both[] = {{most_info, std::uint64_t{19}}, {initial, std::uint64_t{10}}};
    ASSERT_TRUE(set_parameters(parameters, both));
    EXPECT_EQ(parameters.max_cpu_throttle_percent, 19U);
    const ParameterChange wrong[] = {{initial, std::uint64_t{5}}, {most_info, std::uint64_t{100}}};
    EXPECT_FALSE(set_parameters(parameters, wrong));
    EXPECT_EQ(parameters.cpu_throttle_initial_percent, 10U) << "all or nothing";
}

TEST(Parameters, AFormerNameLeadsToTheSame) {
    const ParameterInfo* pin_all = find_parameter("rdma-pin-all");
    ASSERT_NE(pin_all, nullptr);
    EXPECT_TRUE(pin_all->capability);
    EXPECT_EQ(find_parameter("x-rdma-pin-all"), pin_all);
    EXPECT_EQ(find_parameter(""), nullptr) << "most have no former name";
}

TEST(Parameters, BandwidthIsExactAndSaturates) {
    MigrationParameters parameters;
    const ParameterInfo& bandwidth = *find_parameter("max-bandwidth");
    for (const std::uint64_t value : {0UL, 1UL, 1UL << 31, (1UL << 63) - 1}) {
        ASSERT_TRUE(set_parameter(parameters, bandwidth, value));
        EXPECT_EQ(parameters.max_bandwidth_bytes_per_s, value);
    }
    ASSERT_TRUE(set_parameter(parameters, bandwidth, std::uint64_t{1} << 63));
    EXPECT_EQ(parameters.max_bandwidth_bytes_per_s, (1UL << 63) - 1);
}

}  // namespace
}  // namespace godwit
