#include "cli/progress.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

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

TEST(ProgressLine, HasDisksWhereTheyMove) {
    Json report = Json::parse(R"({"status":"active","ram":{"transferred":1048576,"remaining":2097152,"total":4194304,
        "mbps":8.388608,"dirty-pages-rate":256,"page-size":4096,"dirty-sync-count":3},
        "disk":{"transferred":524288,"remaining":3145728,"total":8388608}})");
    EXPECT_EQ(progress_line(report),
              "active  pass 3  sent 1.0 MiB  at 1.0 MiB/s  remaining 2.0 MiB of 4.0 MiB  disks 3.0 MiB of 8.0 MiB  "
              "dirtied 1.0 MiB/s");
    EXPECT_NE(completion_text(report).find("sent 1.0 MiB (disks 512 KiB) in 3 passes"), std::string::npos)
        << completion_text(report);
    report["disk"] = 7;
    EXPECT_EQ(progress_line(report).find("disks"), std::string::npos);
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

TEST(LineProgress, WritesALineEachSecond) {
    testing::internal::CaptureStdout();
    const auto start = Progress::Clock::now();
    LineProgress progress;
    progress.show({{"status", "a"}}, start);
    progress.show({{"status", "setup"}}, start + std::chrono::milliseconds(500));
    progress.show({{"status", "setup"}}, start + std::chrono::milliseconds(1000));
    progress.finish();
    EXPECT_EQ(testing::internal::GetCapturedStdout(), "a\nsetup\n");
}

TEST(LiveProgress, PaintsOverWhatItPaintedUntilItIsLeft) {
    const Json report = Json::parse(R"({"status":"active","ram":{"transferred":1048576,"remaining":2097152,
        "total":4194304,"mbps":8,"dirty-pages-rate":256,"page-size":4096}})");
    testing::internal::CaptureStderr();
    const auto start = Progress::Clock::now();
    LiveProgress progress("moving");
    progress.show(report, start);
    progress.show(report, start + std::chrono::milliseconds(50));  // too early
    progress.show(report, start + std::chrono::milliseconds(200));
    progress.finish();
    progress.show(report, start + std::chrono::milliseconds(400));
    const std::string painted = testing::internal::GetCapturedStderr();
    std::size_t titles = 0;
    for (auto at = painted.find("moving: active"); at != std::string::npos; at = painted.find("moving", at + 1)) {
        ++titles;
    }
    EXPECT_EQ(titles, 3U) << painted;
    EXPECT_NE(painted.find("50 %"), std::string::npos) << painted;
    // Only the second is painted over the one before.
    const auto up = painted.find("A\x1b[1mmoving");
    EXPECT_NE(up, std::string::npos) << painted;
    EXPECT_EQ(painted.find("A\x1b[1mmoving", up + 1), std::string::npos);
}

}  // namespace
}  // namespace godwit
