#include "cli/migrate_settings.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

class MigrateSettings : public ::testing::Test {
protected:
    Result<SettingRequests> requests(const std::vector<std::string>& settings) const {
        return setting_requests(settings, capabilities_, parameters_);
    }
    std::string mistake(const std::string& setting) const {
        const auto result = requests({setting});
        return result ? "" : result.error().message;
    }

    Json capabilities_ = Json::parse(R"([{"capability":"xbzrle","state":false},{"capability":"events","state":true}])");
    Json parameters_ =
        Json::parse(R"({"max-bandwidth":0,"cpu-throttle-tailslow":false,"switchover-policy":"minimum"})");
};

TEST_F(MigrateSettings, FollowTheTypesOfTheMachine) {
    const auto result = requests(
        {"xbzrle=on", "max-bandwidth=1.5M", "cpu-throttle-tailslow=on", "switchover-policy=first-fit", "events=off"});
    ASSERT_TRUE(result) << result.error().text();
    EXPECT_EQ(result->capabilities,
              Json::parse(R"([{"capability":"xbzrle","state":true},{"capability":"events","state":false}])"));
    EXPECT_EQ(result->parameters,
              Json::parse(R"({"max-bandwidth":1572864,"cpu-throttle-tailslow":true,"switchover-policy":"first-fit"})"));
    EXPECT_TRUE(requests({})->parameters.empty());
}

TEST_F(MigrateSettings, KnowFormerNames) {
    const std::vector<std::string> former{"x-rdma-pin-all=on"};
    EXPECT_EQ(mistake(former[0]), "the machine has no setting 'x-rdma-pin-all'");
    capabilities_.push_back({{"capability", "rdma-pin-all"}, {"state", false}});
    EXPECT_EQ(mistake("x-rdma-pin-all=1"), "'x-rdma-pin-all' expects on or off");
    const auto result = requests(former);
    ASSERT_TRUE(result) << result.error().text();
    EXPECT_EQ(result->capabilities, Json::parse(R"([{"capability":"rdma-pin-all","state":true}])"));
    capabilities_.push_back({{"capability", "x-rdma-pin-all"}, {"state", false}});
    EXPECT_EQ(requests(former)->capabilities[0]["capability"], "x-rdma-pin-all") << "a machine of former times";
}

TEST_F(MigrateSettings, SayWhatIsWrong) {
    EXPECT_EQ(mistake("xbzrle"), "'xbzrle' is not of the form NAME=VALUE");
    EXPECT_EQ(mistake("=1"), "'=1' is not of the form NAME=VALUE");
    EXPECT_EQ(mistake("xbzrle=1"), "'xbzrle' expects on or off");
    EXPECT_EQ(mistake("cpu-throttle-tailslow="), "'cpu-throttle-tailslow' expects on or off");
    EXPECT_EQ(mistake("max-bandwidth=fast"),
              "'max-bandwidth' expects a number; suffixes K, M, G count in powers of 1024");
    EXPECT_EQ(mistake("max-bandwidth=-1"),
              "'max-bandwidth' expects a number; suffixes K, M, G count in powers of 1024");
    EXPECT_EQ(mistake("speed=1"), "the machine has no setting 'speed'");
}

TEST_F(MigrateSettings, TheHelpHasAll) {
    EXPECT_NE(settings_help().find("  auto-converge               slow the virtual CPUs down"), std::string::npos);
    EXPECT_NE(settings_help().find("  downtime-limit "), std::string::npos);
}

}  // namespace
}  // namespace godwit
