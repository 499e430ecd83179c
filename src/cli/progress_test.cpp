#include "cli/progress.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

TEST(FormatBytes, ChoosesAUnit) {
    EXPECT_EQ(format_bytes(0), "0 B");
    EXPECT_EQ(format_bytes(1023), "1023 B");
    EXPECT_EQ(format_bytes(1024), "1.0 KiB");
    EXPECT_EQ(format_bytes(1536.0 * 1024 * 1024), "1.5 GiB");
    EXPECT_EQ(format_bytes(200.0 * 1024 * 1024), "200 MiB");
    EXPECT_EQ(format_bytes(1e30).substr(0, 4), "8881");
}

TEST(ProgressLine, ReadsGodwitAndQemu) {
    Json report = Json::parse(R"({"status":"active","ram":{"transferred":1048576,"remaining":2097152,"total":4194304,
        "mbps":8.388608,"dirty-pages-rate":256,"page-size":4096,"dirty-sync-count":3}})");
    EXPECT_EQ(progress_line(report),
              "active  pass 3  sent 1.0 MiB  at 1.0 MiB/s  remaining 2.0 MiB of 4.0 MiB  dirtied 1.0 MiB/s");
    report["x-godwit-passes"] = 2;
    EXPECT_NE(progress_line(report).find("pass 2"), std::string::npos);
    report["x-godwit-incoming"] = true;
    EXPECT_EQ(progress_line(report), "active  received 1.0 MiB");
}

TEST(ProgressLine, TakesWhatIsThere) {
    EXPECT_EQ(progress_line(Json::object()), "waiting");
    EXPECT_EQ(progress_line({{"status", "setup"}}), "setup");
    EXPECT_EQ(progress_line({{"status", 5}, {"ram", 7}}), "waiting");
    EXPECT_FALSE(progress_line({{"status", "active"}, {"ram", {{"transferred", "x"}}}}).empty());
}

TEST(CompletionText, IsExactWherePossible) {
    Json report = Json::parse(R"({"status":"completed","total-time":1234,"downtime":5,
        "ram":{"transferred":1024,"dirty-sync-count":3}})");
    EXPECT_EQ(completion_text(report), "total time 1.234 s, downtime 5 ms, sent 1.0 KiB in 3 passes");
    report["x-godwit-downtime-ns"] = 4'567'000;
    EXPECT_NE(completion_text(report).find("downtime 4.57 ms"), std::string::npos);
}

TEST(CompletionText, SpeaksForTheDestination) {
    const Json report =
        Json::parse(R"({"status":"completed","total-time":1234,"x-godwit-incoming":true,"ram":{"transferred":1024}})");
    EXPECT_EQ(completion_text(report), "total time 1.234 s, received 1.0 KiB");
}

TEST(ProgressPrinter, WritesLinesWithoutATerminal) {
    testing::internal::CaptureStdout();
    const auto start = ProgressPrinter::Clock::now();
    {
        ProgressPrinter printer(false);
        printer.show("a", start);
        printer.show("b", start + std::chrono::milliseconds(500));
        printer.show("c", start + std::chrono::milliseconds(1000));
    }
    EXPECT_EQ(testing::internal::GetCapturedStdout(), "a\nc\n");
}

TEST(ProgressPrinter, RewritesTheLineOnATerminal) {
    testing::internal::CaptureStdout();
    const auto start = ProgressPrinter::Clock::now();
    {
        ProgressPrinter printer(true);
        printer.show("a", start);
        printer.show("b", start + std::chrono::milliseconds(100));
        printer.show("c", start + std::chrono::milliseconds(200));
    }
    EXPECT_EQ(testing::internal::GetCapturedStdout(), "\ra\x1b[K\rc\x1b[K\n");
}

}  // namespace
}  // namespace godwit
