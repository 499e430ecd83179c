#include "cli/log_arguments.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

namespace godwit {
namespace {

LogOptions parse(std::vector<std::string> words) {
    CLI::App app;
    LogArguments arguments;
    add_log_options(app, arguments);
    std::reverse(words.begin(), words.end());
    app.parse(words);
    return log_options(arguments);
}

TEST(LogArguments, ChooseLevelAndPlace) {
    EXPECT_EQ(parse({}).level, LogLevel::info);
    EXPECT_TRUE(parse({}).to_stderr);
    EXPECT_EQ(parse({"--verbose"}).level, LogLevel::debug);
    EXPECT_EQ(parse({"--log-level", "debug"}).level, LogLevel::debug);
    EXPECT_EQ(parse({"--log-level", "warning"}).level, LogLevel::warning);
    EXPECT_EQ(parse({"--log-level", "error"}).level, LogLevel::error);
    const LogOptions to_file = parse({"--log-file", "x.log"});
    EXPECT_EQ(to_file.file, "x.log");
    EXPECT_FALSE(to_file.to_stderr);
}

TEST(LogArguments, RefuseWhatIsUnclear) {
    EXPECT_THROW(parse({"--log-level", "loud"}), CLI::ParseError);
    EXPECT_THROW(parse({"--verbose", "--log-level", "error"}), CLI::ParseError);
}

}  // namespace
}  // namespace godwit
