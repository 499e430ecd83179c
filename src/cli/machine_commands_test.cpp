#include "cli/machine_commands.h"

#include <gtest/gtest.h>

#include "monitor/command_testing.h"

namespace godwit {
namespace {

class MachineCommandsTest : public ::testing::Test {
protected:
    MachineCommandsTest() {
        add_machine_commands(commands_, {"north", [this] { return state_; }, [this] { return note("stop"); },
                                         [this](bool force) { return note(force ? "cont by force" : "cont"); }});
    }
    Status note(const std::string& what) {
        log_.push_back(what);
        return answer_;
    }
    Result<Json> run(const std::string& name, const Json& arguments = Json::object()) {
        const Command* command = commands_.find(name);
        if (auto status = check_arguments(command->arguments, arguments); !status) {
            return fail(status.error());
        }
        return command->handler(arguments, client_);
    }

    RunState state_ = RunState::running;
    Status answer_;
    std::vector<std::string> log_;
    testing::NoClient client_;
    CommandTable commands_;
};

TEST_F(MachineCommandsTest, TellsTheRunState) {
    EXPECT_EQ(run("query-status"), Json::parse(R"({"status":"running","running":true,"singlestep":false})"));
    state_ = RunState::finish_migrate;
    EXPECT_EQ(run("query-status"), Json::parse(R"({"status":"finish-migrate","running":false,"singlestep":false})"));
}

TEST_F(MachineCommandsTest, TellsTheName) {
    EXPECT_EQ(run("query-name"), (Json{{"name", "north"}}));
    CommandTable others;
    add_machine_commands(others, {});
    EXPECT_EQ(others.find("query-name")->handler(Json::object(), client_), Json::object());
}

TEST_F(MachineCommandsTest, StopsAndContinues) {
    EXPECT_EQ(run("stop"), Json::object());
    EXPECT_EQ(run("cont"), Json::object());
    EXPECT_EQ(run("cont", {{"force", true}}), Json::object());
    EXPECT_EQ(log_, (std::vector<std::string>{"stop", "cont", "cont by force"}));
}

TEST_F(MachineCommandsTest, PassesErrorsOn) {
    answer_ = fail(ErrorCode::ownership_gone, "the guest runs elsewhere");
    EXPECT_EQ(run("cont").error().code, ErrorCode::ownership_gone);
    EXPECT_EQ(run("stop").error().message, "the guest runs elsewhere");
    EXPECT_EQ(run("cont", {{"force", 1}}).error().message, "Invalid parameter type for 'force', expected: boolean");
    EXPECT_EQ(run("stop", {{"x", 1}}).error().message, "Parameter 'x' is unexpected");
}

}  // namespace
}  // namespace godwit
