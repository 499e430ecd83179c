#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "monitor/basic_commands.h"
#include "monitor/command_table.h"
#include "monitor/hmp_line.h"
#include "monitor/human_monitor_command.h"
#include "monitor/migration_commands.h"
#include "monitor/older_migration_commands.h"

namespace godwit::testing {

/// Notes what it is asked for.
class NotingService : public MigrationService {
public:
    Status migrate(const MigrateRequest& request) override {
        if (refusal) {
            return fail(*refusal);
        }
        asked.push_back("migrate " + request.uri + (request.options.block ? " with disks" : "") +
                        (request.options.incremental ? " incrementally" : ""));
        figures.state = MigrationState::setup;
        return {};
    }
    Status cancel() override {
        asked.emplace_back("cancel");
        return {};
    }
    void yank() override { asked.emplace_back("yank"); }
    Status continue_switchover() override {
        asked.emplace_back("continue");
        return {};
    }
    Status receive(const std::string& uri) override {
        asked.push_back("receive " + uri);
        return {};
    }
    MigrationStatistics statistics() const override { return figures; }
    bool is_incoming() const override { return false; }
    std::vector<std::string> blocked_reasons() const override { return {}; }
    std::optional<std::string> listening_address() const override { return std::nullopt; }
    MigrationParameters parameters() const override { return values; }
    Status set(std::span<const ParameterChange> changes) override { return set_parameters(values, changes); }

    MigrationParameters values;
    MigrationStatistics figures;
    std::vector<std::string> asked;
    std::optional<Error> refusal;
};

/// The commands of QMP that this folder has, and stand-ins for those of others.
class HmpCommands : public CommandClient {
public:
    HmpCommands() {
        add_basic_commands(table, [this] { note("quit"); });
        add_migration_commands(table, service);
        add_older_migration_commands(table, service);
        add_human_monitor_command(table);
        add("stop", {}, Json::object());
        add("cont", {{"force", ArgumentType::boolean, true}}, Json::object());
        add("query-status", {}, {{"status", "inmigrate"}, {"running", false}});
        add("query-name", {}, {{"name", "north\x1b[2J"}});
    }
    FileDescriptor take_descriptor() override { return {}; }

    /// A command that notes its arguments, unless there is a real one.
    void add(const std::string& name, std::vector<Argument> arguments, Json answer) {
        if (table.find(name) == nullptr) {
            table.add({name, "", std::move(arguments), [this, name, answer](const Json& given, CommandClient&) {
                           note(given.empty() ? name : name + " " + to_text(given));
                           return Result<Json>(answer);
                       }});
        }
    }
    void note(const std::string& what) { service.asked.push_back(what); }
    std::string say(const std::string& line) { return run_hmp_line(line, table, *this).text; }

    NotingService service;
    CommandTable table;
};

}  // namespace godwit::testing
