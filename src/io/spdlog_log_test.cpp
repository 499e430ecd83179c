#include "io/spdlog_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "io/test_support.h"

namespace godwit {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

std::string content_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(SpdlogLog, PassesLinesOnWithTheirLevelAndWithoutFormattingThem) {
    std::ostringstream output;
    auto logger = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(output));
    logger->set_pattern("%l %v");
    logger->set_level(spdlog::level::debug);
    SpdlogLog log(logger);
    log.write(LogLevel::debug, "a {} b");
    log.write(LogLevel::info, "c");
    log.write(LogLevel::warning, "d");
    log.write(LogLevel::error, "e");
    EXPECT_EQ(output.str(), "debug a {} b\ninfo c\nwarning d\nerror e\n");
}

TEST(SpdlogLog, WritesAFileThatNoChildInherits) {
    const TemporaryDirectory directory;
    const std::string path = directory / "log";
    auto log = make_log({.level = LogLevel::warning, .to_stderr = false, .file = path});
    ASSERT_OK(log);
    (*log)->write(LogLevel::info, "dropped");
    (*log)->write(LogLevel::error, "kept");
    EXPECT_NE(content_of(path).find("godwit error: kept\n"), std::string::npos) << content_of(path);
    EXPECT_EQ(content_of(path).find("dropped"), std::string::npos);
    bool found = false;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code error;
        if (std::filesystem::read_symlink(entry.path(), error) == path) {
            found = true;
            EXPECT_EQ(::fcntl(std::stoi(entry.path().filename()), F_GETFD), FD_CLOEXEC);
        }
    }
    EXPECT_TRUE(found);
}

TEST(SpdlogLog, SaysWhyAFileCannotBeWritten) {
    const auto log = make_log({.to_stderr = false, .file = "/nonexistent/log"});
    EXPECT_CODE(log, ErrorCode::io);
    EXPECT_NE(log.error().message.find("/nonexistent/log"), std::string::npos);
}

}  // namespace
}  // namespace godwit
