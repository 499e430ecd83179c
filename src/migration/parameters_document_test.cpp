// docs/parameters.md is made of the table of parameters; this keeps it so. To write it anew after a change:
//   GODWIT_WRITE_DOCUMENTS=1 build/release/tests/unit-tests --gtest_filter='ParametersDocument.*'
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "godwit/parameters.h"

namespace godwit {
namespace {

std::string default_of(const ParameterInfo& info) {
    const ParameterValue value = get_parameter(MigrationParameters(), info);
    if (const bool* state = std::get_if<bool>(&value)) {
        return *state ? "on" : "off";
    }
    if (const std::uint64_t* number = std::get_if<std::uint64_t>(&value)) {
        return fmt::format("{}", *number);
    }
    return std::string(std::get<std::string_view>(value));
}

std::string values_of(const ParameterInfo& info) {
    if (!info.words.empty()) {
        std::string text;
        for (const std::string_view word : info.words) {
            text += (text.empty() ? "" : ", ") + std::string(word);
        }
        return text;
    }
    if (std::holds_alternative<std::string MigrationParameters::*>(info.member)) {
        return "text";
    }
    if (std::holds_alternative<bool MigrationParameters::*>(info.member)) {
        return "on, off";
    }
    return fmt::format("{} to {}{}{}", info.minimum, info.maximum, info.power_of_two ? ", a power of two" : "",
                       info.saturates ? "; more counts as that" : "");
}

std::string table(bool capabilities) {
    std::string text =
        "| name | default | values | unit | while a migration runs | what it does |\n|---|---|---|---|---|---|\n";
    for (const ParameterInfo& info : parameter_table()) {
        if (info.capability == capabilities) {
            text += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", info.name, default_of(info), values_of(info),
                                info.unit, info.while_running ? "may change" : "is fixed", info.help);
        }
    }
    return text;
}

std::string document() {
    return "# Parameters and capabilities\n\n"
           "This page is made of the table in `src/migration/parameters.cpp`, which is also where the monitor's "
           "commands, "
           "their checks and their\nhelp come from. `migrate-set-parameters` and `migrate-set-capabilities` change "
           "them, "
           "all that are given or none; a failed or cancelled\nmigration changes no setting. "
           "[embedding.md](embedding.md) "
           "has the members of `MigrationParameters`.\n\n## Parameters\n\n" +
           table(false) + "\n## Capabilities\n\n" + table(true);
}

TEST(ParametersDocument, IsWhatTheTableSays) {
    const char* const path = GODWIT_SOURCE_DIR "/docs/parameters.md";
    if (std::getenv("GODWIT_WRITE_DOCUMENTS") != nullptr) {
        std::ofstream(path) << document();
    }
    std::ostringstream written;
    written << std::ifstream(path).rdbuf();
    EXPECT_EQ(written.str(), document()) << "the head of this test says how to write it anew";
}

}  // namespace
}  // namespace godwit
