#include "monitor/migration_commands.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <limits>
#include <set>

#include "monitor/command_testing.h"
#include "monitor/migration_events.h"

namespace godwit {
namespace {

class FakeService : public MigrationService {
public:
    Status migrate(const MigrateRequest& request) override {
        log.push_back("migrate " + request.uri + (request.options.block ? " blk" : "") +
                      (request.options.incremental ? " inc" : ""));
        return answer;
    }
    Status cancel() override {
        log.push_back("cancel");
        return answer;
    }
    Status continue_switchover() override {
        log.push_back("continue");
        return answer;
    }
    void yank() override { log.push_back("yank"); }
    Status receive(const std::string& uri) override {
        log.push_back("receive " + uri);
        return answer;
    }
    MigrationStatistics statistics() const override { return figures; }
    bool is_incoming() const override { return incoming; }
    std::vector<std::string> blocked_reasons() const override { return blocked; }
    std::optional<std::string> listening_address() const override { return address; }
    MigrationParameters parameters() const override { return values; }
    Status set(std::span<const ParameterChange> changes) override {
        for (const ParameterChange& change : changes) {
            if (running && !change.info->while_running) {
                return fail(ErrorCode::busy, "There's a migration process in progress");
            }
        }
        return set_parameters(values, changes);
    }

    std::vector<std::string> log;
    Status answer;
    MigrationStatistics figures;
    std::optional<std::string> address;
    MigrationParameters values;
    std::vector<std::string> blocked;
    bool running = false;
    bool incoming = false;
};

class MigrationCommandsTest : public ::testing::Test {
protected:
    MigrationCommandsTest() { add_migration_commands(commands_, service_); }

    Result<Json> run(const std::string& name, const Json& arguments = Json::object()) {
        const Command* command = commands_.find(name);
        if (command == nullptr) {
            return fail(ErrorCode::not_found, "no command " + name);
        }
        if (auto status = check_arguments(command->arguments, arguments); !status) {
            return fail(status.error());
        }
        return command->handler(arguments, client_);
    }
    std::string mistake(const std::string& name, const Json& arguments) {
        const auto result = run(name, arguments);
        return result ? "no error" : result.error().message;
    }

    FakeService service_;
    CommandTable commands_;
    testing::NoClient client_;
};

TEST_F(MigrationCommandsTest, MigratesToAnAddress) {
    EXPECT_EQ(run("migrate", {{"uri", "tcp:a:1"}, {"detach", true}, {"blk", false}}), Json::object());
    EXPECT_EQ(run("migrate-incoming", {{"uri", "unix:/x"}}), Json::object());
    EXPECT_EQ(run("migrate_cancel"), Json::object());
    EXPECT_EQ(service_.log, (std::vector<std::string>{"migrate tcp:a:1", "receive unix:/x", "cancel"}));
}

TEST_F(MigrationCommandsTest, MigratesWithDisks) {
    EXPECT_EQ(run("migrate", {{"uri", "tcp:a:1"}, {"blk", true}}), Json::object());
    EXPECT_EQ(run("migrate", {{"uri", "tcp:a:1"}, {"inc", true}}), Json::object());
    EXPECT_EQ(run("migrate", {{"uri", "tcp:a:1"}, {"blk", true}, {"inc", true}}), Json::object());
    EXPECT_EQ(service_.log,
              (std::vector<std::string>{"migrate tcp:a:1 blk", "migrate tcp:a:1 inc", "migrate tcp:a:1 blk inc"}));
}

TEST_F(MigrationCommandsTest, RefusesBadArguments) {
    EXPECT_EQ(mistake("migrate", Json::object()), "Parameter 'uri' is missing");
    EXPECT_EQ(mistake("migrate", {{"uri", 5}}), "Invalid parameter type for 'uri', expected: string");
    EXPECT_EQ(mistake("migrate", {{"uri", "x"}, {"x", 1}}), "Parameter 'x' is unexpected");
    EXPECT_EQ(mistake("migrate", {{"uri", "x"}, {"blk", 1}}), "Invalid parameter type for 'blk', expected: boolean");
    EXPECT_NE(mistake("migrate", {{"uri", "x"}, {"resume", true}}).find("not supported yet"), std::string::npos);
    EXPECT_EQ(mistake("migrate_cancel", {{"x", 1}}), "Parameter 'x' is unexpected");
    EXPECT_EQ(mistake("query-migrate", {{"x", 1}}), "Parameter 'x' is unexpected");
    EXPECT_TRUE(service_.log.empty());
}

TEST_F(MigrationCommandsTest, PassesErrorsOn) {
    service_.answer = fail(ErrorCode::busy, "There's a migration process in progress");
    EXPECT_EQ(mistake("migrate", {{"uri", "tcp:a:1"}}), "There's a migration process in progress");
    EXPECT_EQ(mistake("migrate-incoming", {{"uri", "tcp:a:1"}}), "There's a migration process in progress");
    EXPECT_EQ(mistake("migrate_cancel", Json::object()), "There's a migration process in progress");
}

TEST_F(MigrationCommandsTest, ContinuesAPausedSwitchover) {
    EXPECT_EQ(mistake("migrate-continue", Json::object()), "Parameter 'state' is missing");
    EXPECT_EQ(mistake("migrate-continue", {{"state", "soon"}}), "Parameter 'state' does not accept value 'soon'");
    service_.figures.state = MigrationState::pre_switchover;
    EXPECT_EQ(mistake("migrate-continue", {{"state", "active"}}), "Migration not in expected state: pre-switchover");
    EXPECT_TRUE(service_.log.empty());
    EXPECT_EQ(run("migrate-continue", {{"state", "pre-switchover"}}), Json::object());
    EXPECT_EQ(service_.log, std::vector<std::string>{"continue"});
}

TEST_F(MigrationCommandsTest, QueriesTheMigration) {
    EXPECT_EQ(run("query-migrate"), Json::object());
    service_.blocked = {"the guest is gone"};
    EXPECT_EQ(run("query-migrate"), Json::parse(R"({"blocked-reasons":["the guest is gone"]})"));
    service_.blocked.clear();
    service_.address = "tcp:127.0.0.1:5";
    service_.figures.state = MigrationState::active;
    const Json report = *run("query-migrate");
    EXPECT_EQ(report["status"], "active");
    EXPECT_EQ(report["socket-address"][0]["port"], "5");
    EXPECT_EQ(report["x-godwit-incoming"], false);
    service_.incoming = true;
    const Json arrival = *run("query-migrate");
    EXPECT_EQ(arrival["x-godwit-incoming"], true);
    EXPECT_FALSE(arrival.contains("x-godwit-passes"));
}

TEST_F(MigrationCommandsTest, SetsAndQueriesEveryParameter) {
    const Json before = *run("query-migrate-parameters");
    EXPECT_EQ(before["downtime-limit"], 300);
    for (const ParameterInfo& info : parameter_table()) {
        EXPECT_EQ(before.contains(std::string(info.name)), !info.capability) << info.name;
    }
    EXPECT_EQ(run("migrate-set-parameters", {{"downtime-limit", 10}, {"max-bandwidth", 1U << 30}}), Json::object());
    EXPECT_EQ(service_.values.downtime_limit_ms, 10U);
    EXPECT_EQ(service_.values.max_bandwidth_bytes_per_s, 1U << 30);
    EXPECT_EQ((*run("query-migrate-parameters"))["downtime-limit"], 10);
    EXPECT_EQ(run("migrate-set-parameters", {{"max-bandwidth", 1e30}}), Json::object());
    EXPECT_EQ((*run("query-migrate-parameters"))["max-bandwidth"], std::numeric_limits<std::int64_t>::max());
    EXPECT_EQ(run("migrate-set-parameters", *run("query-migrate-parameters")), Json::object());
}

TEST_F(MigrationCommandsTest, NothingIsAnEmptyTextWhereQemuTakesItForOne) {
    EXPECT_EQ(run("migrate-set-parameters", {{"tls-creds", "tls0"}}), Json::object());
    EXPECT_EQ(service_.values.tls_creds, "tls0");
    EXPECT_EQ(run("migrate-set-parameters", {{"tls-creds", nullptr}, {"tls-authz", nullptr}}), Json::object());
    EXPECT_EQ(service_.values.tls_creds, "");
    EXPECT_EQ((*run("query-migrate-parameters"))["tls-creds"], "");
    EXPECT_EQ(mistake("migrate-set-parameters", {{"tls-creds", 5}}),
              "Invalid parameter type for 'tls-creds', expected: StrOrNull");
}

TEST_F(MigrationCommandsTest, ChangesAllParametersOrNone) {
    EXPECT_NE(mistake("migrate-set-parameters", {{"connect-timeout", 5}, {"downtime-limit", 90'000'000}})
                  .find("Parameter 'downtime_limit' expects an integer in the range of 0 to "),
              std::string::npos);
    EXPECT_EQ(mistake("migrate-set-parameters", {{"connect-timeout", 5}, {"downtime-limit", -1}}),
              "Parameter 'downtime-limit' expects uint64");
    EXPECT_EQ(mistake("migrate-set-parameters", {{"connect-timeout", 5}, {"x", 1}}), "Parameter 'x' is unexpected");
    service_.running = true;
    EXPECT_EQ(mistake("migrate-set-parameters", {{"downtime-limit", 5}, {"handshake-timeout", 5}}),
              "There's a migration process in progress");
    EXPECT_EQ(service_.values.connect_timeout_ms, MigrationParameters().connect_timeout_ms);
    EXPECT_EQ(service_.values.downtime_limit_ms, MigrationParameters().downtime_limit_ms);
    EXPECT_EQ(run("migrate-set-parameters", {{"downtime-limit", 5}}), Json::object());
    EXPECT_EQ(service_.values.downtime_limit_ms, 5U);
}

TEST_F(MigrationCommandsTest, SwitchesCapabilities) {
    const auto set = [](Json entries) { return Json{{"capabilities", std::move(entries)}}; };
    const Json both = {{{"capability", "events"}, {"state", true}}, {{"capability", "return-path"}, {"state", false}}};
    EXPECT_EQ(run("migrate-set-capabilities", set(both)), Json::object());
    EXPECT_TRUE(service_.values.events);
    EXPECT_FALSE(service_.values.return_path);
    std::set<Json> states;
    const Json queried = *run("query-migrate-capabilities");
    for (const Json& entry : queried) {
        states.insert(entry);
    }
    EXPECT_TRUE(states.contains(both[0]));
    EXPECT_TRUE(states.contains(both[1]));

    EXPECT_EQ(mistake("migrate-set-capabilities", set({{{"capability", "foo"}, {"state", true}}})),
              "Parameter 'capability' does not accept value 'foo'");
    EXPECT_EQ(mistake("migrate-set-capabilities", set({{{"capability", "max-bandwidth"}, {"state", true}}})),
              "Parameter 'capability' does not accept value 'max-bandwidth'");
    EXPECT_EQ(mistake("migrate-set-capabilities", set(Json::array({{{"capability", "events"}}}))),
              "Parameter 'capabilities[0].state' is missing");
    EXPECT_EQ(mistake("migrate-set-capabilities", set(Json::object())),
              "Invalid parameter type for 'capabilities', expected: array");
    service_.running = true;
    EXPECT_EQ(mistake("migrate-set-capabilities", set(both)), "There's a migration process in progress");
}

TEST_F(MigrationCommandsTest, TakesACapabilityByItsFormerName) {
    const auto set = [](const char* name) {
        return Json{{"capabilities", Json::array({{{"capability", name}, {"state", true}}})}};
    };
    EXPECT_EQ(run("migrate-set-capabilities", set("x-rdma-pin-all")), Json::object());
    EXPECT_TRUE(service_.values.rdma_pin_all);
    const std::string told = to_text(*run("query-migrate-capabilities"));
    EXPECT_NE(told.find("\"rdma-pin-all\""), std::string::npos);
    EXPECT_EQ(told.find("x-rdma-pin-all"), std::string::npos);
    EXPECT_EQ(mistake("migrate-set-capabilities", set("x-events")),
              "Parameter 'capability' does not accept value 'x-events'");
}

class TaskQueue : public Executor {
public:
    Result<std::unique_ptr<Thread>> start_thread(std::string, std::function<void()>) override {
        return fail(ErrorCode::unsupported, "no threads here");
    }
    void post(std::function<void()> task) override { tasks.push_back(std::move(task)); }
    void run() {
        for (; !tasks.empty(); tasks.pop_front()) {
            tasks.front()();
        }
    }
    std::deque<std::function<void()>> tasks;
};

class EventLog : public EventSink {
public:
    void emit(std::string_view name, const Json& data) override { events.push_back(std::string(name) + to_text(data)); }
    std::vector<std::string> events;
};

TEST(MigrationEvents, AreSentFromTheLoopWhenEnabled) {
    TaskQueue queue;
    EventLog log;
    bool enabled = false;
    MigrationEvents events(queue, log, [&] { return enabled; });
    EXPECT_TRUE(events.state_changed(MigrationState::none, MigrationState::setup).has_value());
    queue.run();
    EXPECT_TRUE(log.events.empty());
    enabled = true;
    EXPECT_TRUE(events.state_changed(MigrationState::setup, MigrationState::active).has_value());
    EXPECT_TRUE(events.state_changed(MigrationState::active, MigrationState::handing_over).has_value());
    events.pass_started(3);
    EXPECT_TRUE(log.events.empty());
    queue.run();
    EXPECT_EQ(log.events, (std::vector<std::string>{R"(MIGRATION{"status":"active"})", R"(MIGRATION_PASS{"pass":3})"}));
}

}  // namespace
}  // namespace godwit
