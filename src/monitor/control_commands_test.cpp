#include "monitor/control_commands.h"

#include <gtest/gtest.h>

#include "monitor/command_testing.h"

namespace godwit {
namespace {

class Service : public MigrationService {
public:
    Status migrate(const MigrateRequest&) override { return {}; }
    Status cancel() override { return {}; }
    void yank() override { ++yanks; }
    Status receive(const std::string&) override { return {}; }
    MigrationStatistics statistics() const override { return figures; }
    bool is_incoming() const override { return false; }
    std::vector<std::string> blocked_reasons() const override { return {}; }
    std::optional<std::string> listening_address() const override { return std::nullopt; }
    MigrationParameters parameters() const override { return {}; }
    Status continue_switchover() override { return {}; }
    Status set(std::span<const ParameterChange>) override { return {}; }

    int yanks = 0;
    MigrationStatistics figures;
};

class ControlCommandsTest : public ::testing::Test {
protected:
    ControlCommandsTest() { add_control_commands(commands_, service_); }

    Result<Json> run(const std::string& name, const Json& arguments = Json::object()) {
        return testing::run_command(commands_, client_, name, arguments);
    }
    std::string yank(const char* instances) {
        const auto result = run("yank", {{"instances", Json::parse(instances)}});
        return result ? "" : result.error().message;
    }

    Service service_;
    CommandTable commands_;
    testing::NoClient client_;
};

TEST_F(ControlCommandsTest, AMigrationIsThereWhileItRuns) {
    using S = MigrationState;
    for (const S state : {S::none, S::completed, S::failed, S::cancelled}) {
        service_.figures.state = state;
        EXPECT_EQ(run("query-yank"), Json::array());
        EXPECT_EQ(yank(R"([{"type":"migration"}])"), "Instance not found");
    }
    EXPECT_EQ(service_.yanks, 0);
    for (const S state : {S::setup, S::active, S::handing_over, S::cancelling}) {
        service_.figures.state = state;
        EXPECT_EQ(run("query-yank"), Json::array({{{"type", "migration"}}}));
        EXPECT_EQ(yank(R"([{"type":"migration"}])"), "");
    }
    EXPECT_EQ(service_.yanks, 4);
}

TEST_F(ControlCommandsTest, BreaksAllOffOrNone) {
    service_.figures.state = MigrationState::active;
    EXPECT_EQ(yank("[]"), "");
    EXPECT_EQ(yank(R"([{"type":"migration"},{"type":"chardev","id":"serial0"}])"), "Instance not found");
    EXPECT_EQ(yank(R"([{"type":"block-node","node-name":"disk"}])"), "Instance not found");
    EXPECT_EQ(yank(R"([{"type":"chardev"}])"), "Parameter 'instances[0].id' is missing");
    EXPECT_EQ(service_.yanks, 0);
    EXPECT_EQ(yank(R"([{"type":"migration"},{"type":"migration"}])"), "");
    EXPECT_EQ(service_.yanks, 1);
}

TEST_F(ControlCommandsTest, YankMayBeSentOutOfBand) {
    EXPECT_TRUE(commands_.find("yank")->allow_oob);
    EXPECT_TRUE(commands_.find("query-yank")->allow_oob);
    EXPECT_EQ(commands_.find("yank")->not_found_class, "DeviceNotFound");
    EXPECT_FALSE(commands_.find("announce-self")->allow_oob);
}

TEST_F(ControlCommandsTest, AnnouncesNothing) {
    EXPECT_EQ(run("announce-self"), Json::object());
    EXPECT_EQ(run("announce-self", {{"initial", 50}, {"max", 100}, {"rounds", 10}, {"step", 5}, {"id", "x"}}),
              Json::object());
    EXPECT_EQ(run("announce-self", {{"interfaces", {"a", "b"}}}), Json::object());
    EXPECT_FALSE(run("announce-self", {{"interfaces", {5}}}));
}

}  // namespace
}  // namespace godwit
