#include "migration/throttle_policy.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

constexpr std::uint64_t mib = 1 << 20;
constexpr ThrottlePeriod fast{.dirtied_bytes = 60 * mib, .transferred_bytes = 100 * mib};
constexpr ThrottlePeriod slow{.dirtied_bytes = 50 * mib, .transferred_bytes = 100 * mib};

TEST(ThrottlePolicy, RisesWithEverySecondPeriodThatIsTooFast) {
    ThrottlePolicy policy;
    const MigrationParameters defaults;
    EXPECT_EQ(policy.percent(), 0U);
    EXPECT_EQ(policy.decide(defaults, fast), 0U);
    EXPECT_EQ(policy.decide(defaults, slow), 0U) << "exactly the threshold is acceptable";
    EXPECT_EQ(policy.decide(defaults, fast), 20U);
    for (unsigned expected : {30U, 40U, 50U, 60U, 70U, 80U, 90U, 99U, 99U, 99U}) {
        EXPECT_EQ(policy.decide(defaults, fast), expected == 99U ? policy.percent() : expected - 10);
        EXPECT_EQ(policy.decide(defaults, fast), expected);
    }
    EXPECT_EQ(policy.decide(defaults, slow), 99U) << "it never falls";
}

TEST(ThrottlePolicy, ObeysItsParameters) {
    MigrationParameters parameters;
    parameters.throttle_trigger_threshold_percent = 80;
    parameters.cpu_throttle_initial_percent = 5;
    parameters.cpu_throttle_increment_percent = 50;
    parameters.max_cpu_throttle_percent = 70;
    ThrottlePolicy policy;
    policy.decide(parameters, fast);
    EXPECT_EQ(policy.decide(parameters, fast), 0U) << "60 % is not too fast any more";
    parameters.throttle_trigger_threshold_percent = 59;
    policy.decide(parameters, fast);
    EXPECT_EQ(policy.decide(parameters, fast), 5U);
    policy.decide(parameters, fast);
    EXPECT_EQ(policy.decide(parameters, fast), 55U);
    policy.decide(parameters, fast);
    EXPECT_EQ(policy.decide(parameters, fast), 70U);
    parameters.max_cpu_throttle_percent = 60;
    policy.decide(parameters, fast);
    EXPECT_EQ(policy.decide(parameters, fast), 70U) << "a maximum set lower later takes nothing back";
}

TEST(ThrottlePolicy, TheTailIsSlowWhenLittleIsMissing) {
    MigrationParameters parameters;
    parameters.cpu_throttle_tailslow = true;
    ThrottlePolicy policy;
    policy.decide(parameters, fast);
    EXPECT_EQ(policy.decide(parameters, fast), 20U);
    // 52 MiB where 50 are acceptable: of the remaining 80 % 76.9 are ideal.
    const ThrottlePeriod nearly{.dirtied_bytes = 52 * mib, .transferred_bytes = 100 * mib};
    policy.decide(parameters, nearly);
    EXPECT_EQ(policy.decide(parameters, nearly), 23U);
    const ThrottlePeriod far{.dirtied_bytes = 500 * mib, .transferred_bytes = 100 * mib};
    policy.decide(parameters, far);
    EXPECT_EQ(policy.decide(parameters, far), 33U) << "never more than the increment";
}

TEST(ThrottlePolicy, NothingSentAndNothingDirtied) {
    ThrottlePolicy policy;
    const MigrationParameters defaults;
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(policy.decide(defaults, ThrottlePeriod{}), 0U);
    }
    const ThrottlePeriod blocked{.dirtied_bytes = 1, .transferred_bytes = 0};
    policy.decide(defaults, blocked);
    EXPECT_EQ(policy.decide(defaults, blocked), 20U);
}

}  // namespace
}  // namespace godwit
