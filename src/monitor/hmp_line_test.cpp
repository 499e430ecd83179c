#include "monitor/hmp_line.h"

#include <gtest/gtest.h>

#include <cstring>

#include "godwit/version.h"
#include "monitor/hmp_testing.h"

namespace godwit {
namespace {

using Words = std::vector<std::string>;

class HmpLine : public ::testing::Test, protected testing::HmpCommands {
protected:
    /// What the service or a stand-in was asked for, and nothing was said.
    std::string asked(const std::string& line) {
        service.asked.clear();
        EXPECT_EQ(say(line), "") << line;
        return service.asked.empty() ? "" : service.asked.back();
    }
    HmpReply::Then then(const std::string& line) { return run_hmp_line(line, table, *this).then; }
    void add_all() {
        add("calc-dirty-rate", {{"calc-time", ArgumentType::uint64}}, Json::object());
        add("query-dirty-rate", {}, {{"status", "unstarted"}, {"mode", "page-sampling"}});
        add("announce-self", {}, Json::object());
    }
};

TEST_F(HmpLine, SaysNothingToNothing) {
    EXPECT_EQ(say(""), "");
    EXPECT_EQ(say("  \t\r"), "");
}

TEST_F(HmpLine, KnowsWhatItDoesNotKnow) {
    EXPECT_EQ(say("fly"), "Error: unknown command: 'fly'\n");
    EXPECT_EQ(say("\x1b[2J"), "Error: unknown command: '\\x1b[2J'\n");
    EXPECT_EQ(say("\"open"), "Error: unterminated string\n");
    EXPECT_EQ(say("info weather"), "Error: unknown command: 'info weather'\n'help info' lists what there is\n");
}

TEST_F(HmpLine, StartsMigrations) {
    EXPECT_EQ(asked("migrate tcp:host:1"), "migrate tcp:host:1");
    EXPECT_EQ(asked("migrate -d \"exec:cat > x\""), "migrate exec:cat > x");
    EXPECT_EQ(then("migrate tcp:host:1"), HmpReply::Then::wait_for_migration);
    EXPECT_EQ(then("migrate -d tcp:host:1"), HmpReply::Then::prompt);
    EXPECT_EQ(say("migrate"), "Error: Parameter 'uri' is missing\nTry \"help migrate\" for more information\n");
    EXPECT_EQ(say("migrate -d"), say("migrate"));
    EXPECT_EQ(say("migrate -x tcp:a:1"),
              "Error: migrate: unsupported option -x\nTry \"help migrate\" for more information\n");
    EXPECT_EQ(say("migrate tcp:a:1 -d"),
              "Error: migrate: extraneous characters at the end of line\nTry \"help migrate\" for more information\n");
    EXPECT_EQ(asked("migrate -b tcp:a:1"), "migrate tcp:a:1 with disks");
    EXPECT_EQ(asked("migrate -di tcp:a:1"), "migrate tcp:a:1 incrementally");
    EXPECT_EQ(asked("migrate -d -b -i tcp:a:1"), "migrate tcp:a:1 with disks incrementally");
    EXPECT_TRUE(say("migrate -r tcp:a:1").starts_with("Error: Parameter 'resume' cannot be used"));
    service.refusal = Error{ErrorCode::busy, "There's a migration process in progress", "wait"};
    EXPECT_EQ(say("migrate tcp:a:1"), "Error: There's a migration process in progress\nwait\n");
    EXPECT_EQ(then("migrate tcp:a:1"), HmpReply::Then::prompt);
}

TEST_F(HmpLine, DrivesMigrations) {
    add_all();
    EXPECT_EQ(asked("migrate_cancel"), "cancel");
    EXPECT_EQ(asked("migrate_incoming tcp::1"), "receive tcp::1");
    EXPECT_EQ(asked("migrate_continue pre-switchover"), "continue");
    EXPECT_EQ(say("migrate_continue later"), "Error: Parameter 'state' does not accept value 'later'\n");
    EXPECT_EQ(say("migrate_continue"),
              "Error: Parameter 'state' is missing\nTry \"help migrate_continue\" for more information\n");
    EXPECT_EQ(say("migrate_pause"), "Error: migrate-pause is currently only supported during postcopy-active state\n");
    EXPECT_EQ(asked("announce_self"), "announce-self");
    EXPECT_EQ(say("migrate_cancel now"),
              "Error: migrate_cancel: extraneous characters at the end of line\n"
              "Try \"help migrate_cancel\" for more information\n");
}

TEST_F(HmpLine, MeasuresTheDirtyRate) {
    add_all();
    EXPECT_EQ(say("calc_dirty_rate 2"),
              "Starting dirty rate measurement with period 2 seconds\n"
              "[Please use 'info dirty_rate' to check results]\n");
    EXPECT_EQ(service.asked.back(), R"(calc-dirty-rate {"calc-time":2})");
    for (const char* wrong : {"calc_dirty_rate x", "calc_dirty_rate -1", "calc_dirty_rate 1.5", "calc_dirty_rate 1k"}) {
        EXPECT_TRUE(say(wrong).find("is no whole number") != std::string::npos) << wrong;
    }
    EXPECT_TRUE(say("info dirty_rate").starts_with("Status: unstarted\n"));
}

TEST_F(HmpLine, AnnouncesWithTheParametersOfMigrations) {
    CommandTable other;
    Json given;
    other.add({"query-migrate-parameters", "", {}, [](const Json&, CommandClient&) -> Result<Json> {
                   return Json{{"announce-initial", 50}, {"announce-max", 550}};
               }});
    other.add({"announce-self",
               "",
               {{"initial", ArgumentType::uint64}, {"rounds", ArgumentType::uint64, true}},
               [&given](const Json& arguments, CommandClient&) -> Result<Json> {
                   given = arguments;
                   return Json::object();
               }});
    EXPECT_EQ(run_hmp_line("announce_self", other, *this).text, "");
    EXPECT_EQ(given, (Json{{"initial", 50}}));
}

TEST_F(HmpLine, IsWithoutCommandsThatQmpDoesNotHave) {
    for (const char* line : {"calc_dirty_rate 1", "announce_self"}) {
        EXPECT_TRUE(say(line).starts_with("Error: unknown command: '")) << line;
        EXPECT_EQ(say("help").find(std::string(line, std::strcspn(line, " "))), std::string::npos) << line;
    }
    EXPECT_EQ(say("info dirty_rate"), "Error: unknown command: 'info dirty_rate'\n'help info' lists what there is\n");
    EXPECT_EQ(complete_hmp_line("ann", table), Words{});
    add_all();
    EXPECT_EQ(complete_hmp_line("ann", table), Words{"announce_self"});
    EXPECT_NE(say("help").find("announce_self"), std::string::npos);
}

TEST_F(HmpLine, SetsTheOlderWay) {
    add_all();
    EXPECT_EQ(say("migrate_set_speed 10"), "");
    EXPECT_EQ(service.values.max_bandwidth_bytes_per_s, 10U << 20);
    EXPECT_EQ(say("migrate_set_speed 1.5G"), "");
    EXPECT_EQ(service.values.max_bandwidth_bytes_per_s, std::uint64_t{3} << 29);
    EXPECT_TRUE(say("migrate_set_speed fast").starts_with("Error: Invalid size fast\n"));
    EXPECT_TRUE(say("migrate_set_speed -1").starts_with("Error: Invalid size -1\n"));
    EXPECT_TRUE(say("migrate_set_speed").starts_with("Error: Parameter 'value' is missing\n"));
    EXPECT_EQ(say("migrate_set_downtime 0.25"), "");
    EXPECT_EQ(service.values.downtime_limit_ms, 250U);
    EXPECT_TRUE(say("migrate_set_downtime soon").starts_with("Error: 'soon' is no number of seconds\n"));
    EXPECT_EQ(say("migrate_set_downtime 5000"),
              "Error: Parameter 'downtime_limit' expects an integer in the range of 0 to 2000000\n");
    EXPECT_EQ(say("migrate_set_cache_size 2"), "");
    EXPECT_EQ(service.values.xbzrle_cache_size_bytes, 2U << 20);
}

TEST_F(HmpLine, DrivesTheMachine) {
    EXPECT_EQ(asked("stop"), "stop");
    EXPECT_EQ(asked("s"), "stop");
    EXPECT_EQ(asked("cont"), "cont");
    EXPECT_EQ(asked("c -f"), R"(cont {"force":true})");
    EXPECT_EQ(asked("quit"), "quit");
    EXPECT_EQ(then("q"), HmpReply::Then::end);
    EXPECT_TRUE(say("quit now").starts_with("Error: quit: extraneous characters at the end of line\n"));
    EXPECT_EQ(say("info status"), "VM status: paused (inmigrate)\n");
    EXPECT_EQ(say("info name"), "north\\x1b[2J\n") << "no control characters from outside";
    EXPECT_EQ(say("info version"), std::string("godwit ") + version_string + "\n");
}

TEST_F(HmpLine, Helps) {
    EXPECT_EQ(say("help stop"), "stop|s  -- pause the guest\n");
    EXPECT_EQ(say("? q"), "quit|q  -- end the program\n");
    EXPECT_EQ(say("help fly"), "Error: unknown command: 'fly'\n");
    EXPECT_EQ(say("help stop cont"), "Error: help: extraneous characters at the end of line\n");
    EXPECT_EQ(say("help info name"), "info name  -- the machine's name\n");
    EXPECT_EQ(say("help info fly"), "Error: unknown command: 'info fly'\n");
    EXPECT_EQ(say("help info"), say("info"));
    EXPECT_NE(say("info").find("info migrate_parameters  -- "), std::string::npos);
    EXPECT_NE(say("help").find("migrate [-d] [-b] [-i] [-r] uri -- "), std::string::npos);
}

TEST_F(HmpLine, IsThereInQmp) {
    const auto run = [this](const Json& arguments) -> Result<Json> {
        const Command* command = table.find("human-monitor-command");
        const auto checked = check_arguments(command->arguments, arguments);
        return checked ? command->handler(arguments, *this) : fail(checked.error());
    };
    EXPECT_EQ(run({{"command-line", "info status"}, {"cpu-index", 3}}), Json("VM status: paused (inmigrate)\r\n"));
    EXPECT_EQ(run({{"command-line", "migrate tcp:a:1"}}), Json("")) << "it does not wait";
    EXPECT_EQ(run({{"command-line", "fly"}}), Json("Error: unknown command: 'fly'\r\n"));
    EXPECT_EQ(run(Json::object()).error().message, "Parameter 'command-line' is missing");
    EXPECT_EQ(run({{"command-line", std::string(4096, ' ')}}), Json(""));
    EXPECT_EQ(run({{"command-line", std::string(4097, ' ')}}).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace godwit
